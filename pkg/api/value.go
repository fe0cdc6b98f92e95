package api

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/go-json-experiment/json/jsontext"
)

const redacted = "[redacted]"

// Value is text that must not be seen by accident: a secret's value, a password
// or a token. Printing, logging or marshalling it gives "[redacted]"; the text
// comes out through Reveal, and onto the wire through Encode. Values are
// comparable; the zero Value is the empty text.
type Value struct{ text string }

// NewValue hides text in a Value.
func NewValue(text string) Value { return Value{text} }

// Reveal returns the text. Call it only where the text is used.
func (v Value) Reveal() string { return v.text }

// Len is the length of the text in bytes.
func (v Value) Len() int { return len(v.text) }

// String returns "[redacted]".
func (Value) String() string { return redacted }

// Format writes "[redacted]" for every verb and flag.
func (Value) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue gives "[redacted]" to log/slog.
func (Value) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON gives "[redacted]" to every codec but Encode.
func (Value) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText gives "[redacted]" to YAML and other text encoders.
func (Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// UnmarshalJSONFrom reads a JSON string; null and other kinds are errors, so
// that a missing value never turns into an empty one.
func (v *Value) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if k := d.PeekKind(); k != '"' {
		if k == 0 {
			_, err := d.ReadToken()
			return err
		}
		return errNotText
	}
	token, err := d.ReadToken()
	if err != nil {
		return err
	}
	v.text = token.String()
	return nil
}

var errNotText = errors.New("must be a string")
