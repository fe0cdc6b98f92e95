package api

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Optional is a field of a request that may be absent, null, or have a value. Its
// tag has "omitzero". The zero Optional is an absent one.
type Optional[T any] struct {
	Given bool
	Value *T // nil: null
}

// Some is a field with a value.
func Some[T any](value T) Optional[T] { return Optional[T]{Given: true, Value: &value} }

// Null is a field that is null.
func Null[T any]() Optional[T] { return Optional[T]{Given: true} }

// MarshalJSONTo writes null or the value.
func (o Optional[T]) MarshalJSONTo(e *jsontext.Encoder) error { return json.MarshalEncode(e, o.Value) }

// UnmarshalJSONFrom reads null or a value.
func (o *Optional[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	o.Given, o.Value = true, nil
	if d.PeekKind() == 'n' {
		_, err := d.ReadToken()
		return err
	}
	o.Value = new(T)
	return json.UnmarshalDecode(d, o.Value)
}
