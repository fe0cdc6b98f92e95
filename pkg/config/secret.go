package config

import "log/slog"

// redacted is what every printer of a Secret shows.
const redacted = "[redacted]"

// Secret is a setting that must never be printed: fmt, log/slog, encoding/json
// and the YAML encoders all show "[redacted]". The zero Secret is unset.
//
// The text is behind a pointer, so that even a printer that can not call methods
// (fmt, on an unexported field) shows an address and not the text.
type Secret struct{ text *string }

// NewSecret wraps text; the empty text gives the unset Secret.
func NewSecret(text string) Secret {
	if text == "" {
		return Secret{}
	}
	return Secret{text: &text}
}

// Reveal returns the text; "" when unset. Whoever calls it keeps the text out of
// logs, errors and output.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsSet reports whether there is a text at all.
func (s Secret) IsSet() bool { return s.text != nil }

// Equal reports whether both hold the same text. It is for noticing that a
// setting changed, not for checking a credential: its time depends on the texts.
func (s Secret) Equal(other Secret) bool { return s.Reveal() == other.Reveal() }

// String returns "[redacted]".
func (Secret) String() string { return redacted }

// GoString returns "[redacted]", for %#v.
func (Secret) GoString() string { return redacted }

// LogValue returns "[redacted]", for log/slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON returns the JSON string "[redacted]".
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText returns "[redacted]", for the encoders that are not JSON.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
