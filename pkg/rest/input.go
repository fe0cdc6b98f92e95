package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// source is where a field of an input comes from.
type source string

const (
	fromPath   source = "path"
	fromQuery  source = "query"
	fromHeader source = "header"
	fromBody   source = "body"
)

// input is one field of a route's In, found by its tag once.
type input struct {
	source source
	name   string
	doc    string
	index  []int
	typ    reflect.Type
}

// inputsOf finds the tagged fields of an In type, also in embedded structs:
//
//	Project string        `path:"project"`
//	Limit   int           `query:"limit" doc:"…"`
//	Match   vault.Match   `header:"If-Match"`
//	Body    api.PutSecret `body:"json"`
//
// A path field that the path does not have, or an untagged field, is a mistake
// in the route table and panics when it is built.
func inputsOf(t reflect.Type, path string) []input {
	var inputs []input
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous {
			continue
		}
		in := input{index: f.Index, typ: f.Type, doc: f.Tag.Get("doc")}
		for _, s := range []source{fromPath, fromQuery, fromHeader, fromBody} {
			if name, ok := f.Tag.Lookup(string(s)); ok {
				in.source, in.name = s, name
			}
		}
		if in.source == "" || in.source == fromPath && !strings.Contains(path, "{"+in.name+"}") {
			panic(fmt.Sprintf("rest: field %s of %s is not bound to %s", f.Name, t, path))
		}
		inputs = append(inputs, in)
	}
	return inputs
}

// bind fills a route's In from the request. Unknown and repeated query
// parameters are refused, like unknown fields of a body.
func (r *Route) bind(req *http.Request, body []byte) (reflect.Value, error) {
	in := reflect.New(r.In).Elem()
	query, err := url.ParseQuery(req.URL.RawQuery)
	if err != nil {
		return in, fault.InvalidField("query", "is not a valid query string")
	}
	for _, f := range r.inputs {
		if err := f.fill(in.FieldByIndex(f.index), req, query, body); err != nil {
			return in, err
		}
		if f.source == fromQuery {
			delete(query, f.name)
		}
	}
	if !r.conditional() && req.Header.Get("If-Match") != "" {
		return in, fault.InvalidField("header.If-Match", "is not looked at by this request; leave it out")
	}
	if len(query) > 0 {
		return in, fault.InvalidField("query", "has a parameter that this request does not take")
	}
	return in, nil
}

func (f *input) fill(dst reflect.Value, req *http.Request, query url.Values, body []byte) error {
	switch f.source {
	case fromPath:
		dst.SetString(req.PathValue(f.name))
		return nil
	case fromBody:
		if err := api.Decode(body, dst.Addr().Interface()); err != nil {
			return decodeFault(err)
		}
		return nil
	case fromHeader:
		return f.fillMatch(dst, req.Header)
	}
	values := query[f.name]
	if len(values) == 0 {
		return nil
	}
	if len(values) > 1 {
		return fault.InvalidField("query."+f.name, "is given twice")
	}
	return f.parse(dst, values[0])
}

// parse reads a query parameter by the type of its field.
func (f *input) parse(dst reflect.Value, text string) error {
	wrong := func(must string) error { return fault.InvalidField("query."+f.name, "must be "+must) }
	switch dst.Interface().(type) {
	case string:
		dst.SetString(text)
	case bool, *bool:
		b := map[string]bool{"true": true, "false": false}
		v, ok := b[text]
		if !ok {
			return wrong("true or false")
		}
		if dst.Kind() == reflect.Pointer {
			dst.Set(reflect.ValueOf(&v))
		} else {
			dst.SetBool(v)
		}
	case int:
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return wrong("a whole number from 1")
		}
		dst.SetInt(int64(n))
	case *int64:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return wrong("a whole number from 0")
		}
		dst.Set(reflect.ValueOf(&n))
	case *time.Time:
		t, ok := api.ParseTime(text)
		if !ok {
			return wrong("a time such as 2027-01-31T12:00:00Z (RFC 3339)")
		}
		dst.Set(reflect.ValueOf(&t))
	default:
		panic("rest: a query parameter of type " + dst.Type().String())
	}
	return nil
}

// fillMatch reads the preconditions of a write (RFC 9110, section 13.1):
// If-Match with "*", an environment's entity tag "12", a secret's "v3-12" or only
// its version, "v3", and If-None-Match with "*". Lists and weak tags do not identify one state and are
// refused.
func (f *input) fillMatch(dst reflect.Value, h http.Header) error {
	var m vault.Match
	switch tags := h["If-None-Match"]; {
	case len(tags) == 1 && tags[0] == "*":
		m.Absent = true
	case len(tags) > 0:
		return fault.InvalidField("header.If-None-Match", "must be * in a request that writes")
	}
	tags := h["If-Match"]
	if len(tags) == 0 {
		dst.Set(reflect.ValueOf(m))
		return nil
	}
	if len(tags) == 1 && tags[0] == "*" {
		m.Exists = true
	} else if len(tags) > 1 || !matchTag(&m, tags[0]) {
		return fault.InvalidField("header.If-Match", `must be *, the ETag of the environment such as "12", or that of the secret such as "v3-12" or "v3"`)
	}
	dst.Set(reflect.ValueOf(m))
	return nil
}

// matchTag reads an entity tag, and reports whether it is one of ours.
func matchTag(m *vault.Match, header string) (ok bool) {
	tag, quoted := unquote(header)
	if !quoted {
		return false
	}
	secret, isSecret := strings.CutPrefix(tag, "v")
	if !isSecret {
		m.Revision, ok = whole(tag)
		return ok
	}
	version, came, both := strings.Cut(secret, "-")
	if m.Version, ok = whole(version); ok && both {
		m.VersionCame, ok = whole(came)
	}
	return ok
}

// whole reads a number from 0.
func whole(text string) (*int64, bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	return &n, err == nil && n >= 0
}

func unquote(tag string) (string, bool) {
	if len(tag) < 2 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return "", false
	}
	return tag[1 : len(tag)-1], true
}

// matchesTag reports whether an If-None-Match header of a read names the entity
// tag. Weak comparison, as the RFC asks for.
func matchesTag(h http.Header, tag string) bool {
	for _, line := range h["If-None-Match"] {
		for _, t := range strings.Split(line, ",") {
			if t = strings.TrimPrefix(strings.TrimSpace(t), "W/"); t == tag || t == "*" {
				return true
			}
		}
	}
	return false
}
