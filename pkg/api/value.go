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
// comes out through Reveal, and onto the wire through Encode. The zero Value is
// the empty text. Values are compared with Equal.
//
// The text stands behind a pointer because fmt does not ask an unexported field
// how it wants to be printed: it shows what is in there, which is an address.
type Value struct {
	_    [0]func() // not comparable with ==, which would compare the addresses
	text *string
}

// NewValue hides text in a Value.
func NewValue(text string) Value { return Value{text: &text} }

// Reveal returns the text. Call it only where the text is used.
func (v Value) Reveal() string {
	if v.text == nil {
		return ""
	}
	return *v.text
}

// Len is the length of the text in bytes.
func (v Value) Len() int { return len(v.Reveal()) }

// Equal reports whether two values hold the same text. It takes longer the more
// they agree: credentials are compared by their digests instead.
func (v Value) Equal(other Value) bool { return v.Reveal() == other.Reveal() }

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
	text := token.String()
	v.text = &text
	return nil
}

var errNotText = errors.New("must be a string")
