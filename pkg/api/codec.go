package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds on the shape of a JSON document, checked before it is decoded.
const (
	maxDepth   = 32
	maxMembers = 10_000
)

// DecodeError says which part of a JSON document is wrong and why. Neither half
// repeats a value of the document: it may be a secret.
type DecodeError struct {
	Location string // "body", "body.admin.email", "body.environments.0"
	Message  string // a sentence fragment: "must be a string"
}

func (e *DecodeError) Error() string { return e.Location + ": " + e.Message }

var (
	decodeOptions = json.JoinOptions(
		json.RejectUnknownMembers(true),
		json.WithUnmarshalers(json.UnmarshalFromFunc(unmarshalTime)),
	)
	encodeOptions = json.JoinOptions(
		json.WithMarshalers(json.MarshalToFunc(func(e *jsontext.Encoder, v Value) error {
			return e.WriteToken(jsontext.String(v.Reveal()))
		})),
		json.FormatNilSliceAsNull(false),
		json.Deterministic(true),
	)
)

// Encode writes v as JSON, secret values included, followed by nothing. Equal
// values give equal bytes: maps are in the order of their keys. Text is not
// escaped for HTML: bodies are served as application/json only.
func Encode(w io.Writer, v any) error { return json.MarshalWrite(w, v, encodeOptions) }

// Decode reads exactly one JSON document into dst, strictly: names are matched
// by case, unknown and repeated names, invalid UTF-8, lone surrogates, trailing
// data, more than 32 levels or 10,000 members are refused with a *DecodeError.
func Decode(data []byte, dst any) error {
	if err := checkShape(data); err != nil {
		return err
	}
	if err := json.Unmarshal(data, dst, decodeOptions); err != nil {
		return decodeError(err)
	}
	return nil
}

// DecodeResponse reads a server's answer. Unknown fields are passed over, so
// that an older client understands a newer server.
func DecodeResponse(data []byte, dst any) error {
	if err := json.Unmarshal(data, dst); err != nil {
		return decodeError(err)
	}
	return nil
}

// checkShape walks the document once and bounds its depth and size. It also
// finds every syntax error, so that decodeError is left with the meaning.
func checkShape(data []byte) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(data))
	members := 0
	for {
		token, err := d.ReadToken()
		if err == io.EOF {
			if members == 0 {
				return &DecodeError{"body", "is empty; send a JSON object"}
			}
			return nil
		}
		if err != nil {
			return decodeError(err)
		}
		if members == 0 && token.Kind() != '{' {
			return &DecodeError{"body", "must be a JSON object"}
		}
		members++
		if d.StackDepth() > maxDepth {
			return &DecodeError{"body", fmt.Sprintf("is nested more than %d levels deep", maxDepth)}
		}
		if members > 2*maxMembers {
			return &DecodeError{"body", fmt.Sprintf("has more than %d members", maxMembers)}
		}
		if d.StackDepth() == 0 {
			return checkEnd(d)
		}
	}
}

func checkEnd(d *jsontext.Decoder) error {
	if _, err := d.ReadToken(); err != io.EOF {
		return &DecodeError{"body", "has data after the JSON object"}
	}
	return nil
}

// decodeError turns the codec's error into ours, which names a place and a
// reason but never repeats what stood there.
func decodeError(err error) *DecodeError {
	var own *DecodeError
	if errors.As(err, &own) {
		return own
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return &DecodeError{location(syntax.JSONPointer), syntaxReason(err)}
	}
	var meaning *json.SemanticError
	if errors.As(err, &meaning) {
		return semanticError(err, meaning)
	}
	return &DecodeError{"body", "is not valid JSON"}
}

func syntaxReason(err error) string {
	text := err.Error()
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "the same name stands there twice"
	case strings.Contains(text, "UTF-8"), strings.Contains(text, "surrogate"):
		return "is not valid UTF-8"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "ends too early"
	default:
		return "is not valid JSON"
	}
}

func semanticError(err error, meaning *json.SemanticError) *DecodeError {
	at := location(meaning.JSONPointer)
	switch {
	case errors.Is(err, json.ErrUnknownName):
		return &DecodeError{at, "is not a field of this request"}
	case errors.Is(err, errNotText):
		return &DecodeError{at, errNotText.Error()}
	case errors.Is(err, errNotTime):
		return &DecodeError{at, errNotTime.Error()}
	default:
		return &DecodeError{at, "must be " + kindName(meaning.GoType)}
	}
}

func kindName(t reflect.Type) string {
	if t == nil {
		return "of another type"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Pointer:
		return kindName(t.Elem())
	default:
		return "an object"
	}
}

// safeName reports whether a name looks like our own fields, a secret's key or
// an index. Other names are left out of an error, as a value may have slipped
// into their place.
func safeName(name string) bool {
	isField := func(c byte) bool { return isLower(c) || c == '_' }
	isKey := func(c byte) bool { return isKeyByte(c) && !isLower(c) }
	return name != "" && len(name) <= 64 && (only(name, isField) || only(name, isKey))
}

// location spells a JSON pointer (RFC 6901) as "body.admin.email".
func location(p jsontext.Pointer) string {
	var b strings.Builder
	b.WriteString("body")
	for name := range p.Tokens() {
		if !safeName(name) {
			name = "…"
		}
		b.WriteString("." + name)
	}
	return b.String()
}

var errNotTime = errors.New("must be a time such as 2027-01-31T12:00:00Z (RFC 3339)")

// unmarshalTime accepts RFC 3339 alone and turns it to UTC.
func unmarshalTime(d *jsontext.Decoder, t *time.Time) error {
	if d.PeekKind() != '"' {
		return errNotTime
	}
	token, err := d.ReadToken()
	if err != nil {
		return err
	}
	parsed, ok := ParseTime(token.String())
	if !ok {
		return errNotTime
	}
	*t = parsed
	return nil
}

// ParseTime reads an RFC 3339 time as UTC. A time whose year in UTC does not
// have four digits can not be written back and is refused.
func ParseTime(text string) (t time.Time, ok bool) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, false
	}
	t = t.UTC()
	return t, t.Year() >= 1 && t.Year() <= 9999
}
