package rest

import (
	"reflect"
	"slices"

	"github.com/heartlock/heartlock/pkg/vault"
)

// Route is one line of the route table. The served document and the tests of
// the policy are made from it, so a route can not be there without them.
type Route struct {
	Method  string
	Path    string       // below the API's prefix: "/projects/{project}/"
	Action  vault.Action // the line of the policy table that decides on it
	Summary string       // one sentence for the documentation
	Status  int          // of success
	In      reflect.Type // struct of the parameters and body
	Out     reflect.Type // of the answer; struct{} if it has no body
	inputs  []input
	serve   func(c *call, in reflect.Value) (any, error)
}

// define makes a route from its handler. In is a struct; its fields are filled
// from the request by their tags (see inputsOf). Out is the answer; a handler
// with no answer returns struct{}{}.
func define[In, Out any](method, path string, a vault.Action, status int, summary string, h func(*call, In) (Out, error)) Route {
	in := reflect.TypeFor[In]()
	return Route{
		Method: method, Path: path, Action: a, Summary: summary, Status: status,
		In: in, Out: reflect.TypeFor[Out](), inputs: inputsOf(in, path),
		serve: func(c *call, v reflect.Value) (any, error) {
			return h(c, v.Interface().(In))
		},
	}
}

// hasBody reports whether the route reads a JSON body.
func (r Route) hasBody() bool { return r.body() != nil }

// body is the input that is filled from the body, or nil.
func (r Route) body() *input {
	for i := range r.inputs {
		if r.inputs[i].source == fromBody {
			return &r.inputs[i]
		}
	}
	return nil
}

// conditional reports whether the route looks at If-Match.
func (r Route) conditional() bool {
	return slices.ContainsFunc(r.inputs, func(in input) bool { return in.source == fromHeader })
}

// empty is the answer of routes that have none.
type empty = struct{}

// nothing is the input of routes that take none.
type nothing struct{}
