package rest_test

import (
	"bytes"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/rest"
)

// mark stands in every bad input; no answer may repeat it.
const mark = "Zq7CANARY3x"

// badBody is a body that no route may accept.
type badBody struct {
	what, text string
}

// syntaxErrors are bodies made from a good one that are wrong for every route.
func syntaxErrors(t *testing.T, fields map[string]any) []badBody {
	t.Helper()
	good := encode(t, fields)
	first := slices.Sorted(maps.Keys(fields))[0]
	inside := strings.TrimSuffix(strings.TrimPrefix(good, "{"), "}")
	deep := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	wide := new(strings.Builder)
	for i := range 60_000 {
		wide.WriteString(`,"` + mark + string(rune('a'+i%26)) + `":1`)
	}
	return []badBody{
		{"nothing", ""},
		{"white space", "  \n"},
		{"an unknown field", `{` + inside + `,"unknown_field":"` + mark + `"}`},
		{"an unknown field that is privileged", `{` + inside + `,"is_superuser":true}`},
		{"an unknown field that looks like a value", `{` + inside + `,"` + mark + `":1}`},
		{"a field in the wrong case", strings.Replace(good, `"`+first+`"`, `"`+strings.ToUpper(first[:1])+first[1:]+`"`, 1)},
		{"the same field twice", `{` + inside + `,` + inside + `}`},
		{"bytes that are not UTF-8", `{"` + first + `":"` + mark + "\xff" + `"}`},
		{"a name that is not UTF-8", `{"` + mark + "\xff" + `":1}`},
		{"a lone surrogate", `{"` + first + `":"` + mark + `\ud800"}`},
		{"data after the object", good + mark},
		{"another object after the object", good + good},
		{"an object that does not end", strings.TrimSuffix(good, "}")},
		{"null", "null"},
		{"an array", `["` + mark + `"]`},
		{"a string", `"` + mark + `"`},
		{"a number", "7319"},
		{"a byte order mark", "\ufeff" + good},
		{"single quotes", strings.ReplaceAll(good, `"`, `'`)},
		{"a comment", `{/*` + mark + `*/` + inside + `}`},
		{"deep objects", deep},
		{"deep arrays", strings.Repeat("[", 100_000)},
		{"a deep value", `{"` + first + `":` + deep + `}`},
		{"too many members", `{` + inside + wide.String()[:600_000] + `}`},
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// typeErrors replace one field after the other by something of another type.
func typeErrors(t *testing.T, fields map[string]any) (bodies []badBody) {
	t.Helper()
	for _, f := range slices.Sorted(maps.Keys(fields)) {
		for _, wrong := range []any{7319, 1.5, []any{mark, 1}, map[string]any{mark: []any{1}}, true, mark} {
			if sameKind(fields[f], wrong) {
				continue
			}
			changed := maps.Clone(fields)
			changed[f] = wrong
			bodies = append(bodies, badBody{f + " of another type", encode(t, changed)})
		}
		// A password may hold any character: it is only ever hashed.
		if text, ok := fields[f].(string); ok && !strings.Contains(f, "password") {
			changed := maps.Clone(fields)
			changed[f] = text + mark + "\x00"
			bodies = append(bodies, badBody{f + " with a NUL", encode(t, changed)})
		}
	}
	return bodies
}

func sameKind(a, b any) bool {
	switch a.(type) {
	case string:
		_, ok := b.(string)
		return ok
	case int:
		_, ok := b.(int)
		return ok
	case bool:
		_, ok := b.(bool)
		return ok
	}
	return false
}

// routesWithBodies are the routes that take a body, with that of their example.
// Some examples need something that has to be made first.
func (w *world) routesWithBodies() (routes []rest.Route, fields map[string]map[string]any) {
	fields = map[string]map[string]any{}
	for _, r := range rest.Routes() {
		if body, ok := w.bodyOf(r).(map[string]any); ok {
			routes, fields[name(r)] = append(routes, r), body
		}
	}
	return routes, fields
}

// TestBadBodiesAreRefused sends every wrong body to every route that takes one,
// as somebody who may use the route.
func TestBadBodiesAreRefused(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		routes, fieldsOf := w.routesWithBodies()
		before := s.State()
		for _, r := range routes {
			fields := fieldsOf[name(r)]
			path := pathOf(r, w.p1.slug, "development", "API_KEY", randomID())
			bodies := append(syntaxErrors(t, fields), typeErrors(t, fields)...)
			for _, b := range bodies {
				answer := owner.Call(r.Method, path, b.text)
				// A login, a link and the request for one do not tell what is none from what
				// is unknown; and where the example is refused for what there is, it may be
				// so before the rest is judged.
				if strings.HasSuffix(b.what, "NUL") && answer.Status != 400 && (answer.Status == examples[name(r)].status ||
					slices.Contains([]string{"POST /auth/login/", "POST /auth/password-reset/", "POST /auth/password-reset/confirm/"}, name(r))) {
					continue
				}
				p := answer.WantProblem(400)
				if strings.Contains(answer.Body, mark) || strings.Contains(answer.Body, "7319") {
					t.Errorf("%s with %s repeats the input: %s", name(r), b.what, answer.Body)
				}
				if len(p.Errors) == 0 || !strings.HasPrefix(p.Errors[0].Location, "body") || p.Errors[0].Message == "" {
					t.Errorf("%s with %s does not say what is wrong: %s", name(r), b.what, answer.Body)
				}
			}
		}
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("bad bodies changed the database:\n%s", diff)
		}
	})
}

// TestBodiesOfTheWrongKindAreRefused is about size, type and encoding, which
// are looked at before anything else.
func TestBodiesOfTheWrongKindAreRefused(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		routes, fieldsOf := w.routesWithBodies()
		before := s.State()
		big := bytes.Repeat([]byte(mark), 200_000)
		for _, r := range routes {
			fields := fieldsOf[name(r)]
			path := pathOf(r, w.p1.slug, "development", "API_KEY", randomID())
			good := encode(t, fields)
			for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/problem+json", "json", ";", ""} {
				for _, c := range []*heartlocktest.Caller{owner, s.Anonymous()} {
					c.Call(r.Method, path, good, "Content-Type: "+kind).WantProblem(415)
				}
			}
			for _, encoding := range []string{"gzip", "deflate", "br", "identity, gzip"} {
				owner.Call(r.Method, path, good, "Content-Encoding: "+encoding).WantProblem(415)
			}
			// A known length is refused at once; an unknown one when the bound is
			// reached, and to strangers before anything is read.
			owner.Call(r.Method, path, bytes.NewReader(big)).WantProblem(413)
			s.Anonymous().Call(r.Method, path, bytes.NewReader(big)).WantProblem(413)
			owner.Call(r.Method, path, struct{ io.Reader }{bytes.NewReader(big)}).WantProblem(413)
			if got := s.Anonymous().Call(r.Method, path, struct{ io.Reader }{bytes.NewReader(big)}); got.Status != 413 {
				got.WantProblem(401)
			}
		}
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("bad bodies changed the database:\n%s", diff)
		}
	})
}

// TestNullIsNoValue: null must not turn into an empty value where there has to
// be one.
func TestNullIsNoValue(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		p1 := "/projects/" + w.p1.slug + "/"
		before := s.State()
		for _, bad := range []struct{ method, path, body string }{
			{"PUT", p1 + "environments/development/secrets/API_KEY/", `{"value":null}`},
			{"PUT", p1 + "environments/development/secrets/API_KEY/", `{}`},
			{"POST", p1 + "environments/development/secrets/bulk/", `{"set":{"API_KEY":null}}`},
			{"POST", p1 + "environments/development/secrets/bulk/", `{"unset":[null]}`},
			{"POST", p1 + "environments/development/secrets/bulk/", `{"set":null}`},
			{"POST", p1 + "environments/development/secrets/bulk/", `{}`},
			{"POST", "/projects/", `{"name":null}`},
			{"POST", p1 + "environments/", `{"name":null}`},
			{"POST", p1 + "tokens/", `{"name":"x","environments":null,"access":"read"}`},
			{"POST", p1 + "tokens/", `{"name":"x","environments":["development"],"access":null}`},
			{"POST", p1 + "tokens/", `{"name":"x","environments":["development"],"access":"Read"}`},
			{"POST", p1 + "tokens/", `{"name":"x","environments":["development"],"access":"write "}`},
			{"POST", "/auth/tokens/", `{"name":null}`},
			{"POST", "/auth/password/", `{"current_password":null,"new_password":null}`},
			{"POST", "/auth/login/", `{"email":"a@example.com","password":null}`},
			{"POST", "/auth/login/", `{"email":["a@example.com"],"password":"x"}`},
			{"PATCH", p1, `{"slug":""}`},
			{"PATCH", p1 + "environments/development/", `{"slug":""}`},
			{"PATCH", p1, `{"name":""}`},
		} {
			owner.Call(bad.method, bad.path, bad.body).WantProblem(400)
		}
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("null changed the database:\n%s", diff)
		}
	})
}

// TestNamesAreHarmless: what could forge a line of a log or a page, or spoof
// another name, is refused wherever people give names.
func TestNamesAreHarmless(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		p1 := "/projects/" + w.p1.slug + "/"
		before := s.State()
		for _, bad := range []string{"a\u0000b", "a\nb", "a\r\nBcc: x", "\x1b]0;x\x07", "a\u202eb", "a\u2066b", "\u2028", strings.Repeat("x", 101), strings.Repeat("x", 10_000), "   "} {
			for _, at := range []struct {
				method, path string
				body         map[string]any
			}{
				{"POST", "/projects/", map[string]any{"name": bad, "slug": "fine"}},
				{"PATCH", p1, map[string]any{"name": bad}},
				{"POST", p1 + "environments/", map[string]any{"name": bad, "slug": "fine"}},
				{"PATCH", p1 + "environments/development/", map[string]any{"name": bad}},
				{"POST", p1 + "tokens/", map[string]any{"name": bad, "environments": []string{"development"}, "access": "read"}},
				{"POST", "/auth/tokens/", map[string]any{"name": bad}},
				{"PATCH", "/auth/me/", map[string]any{"first_name": bad}},
				{"PATCH", "/auth/me/", map[string]any{"last_name": bad}},
			} {
				if strings.TrimSpace(bad) == "" && at.path == "/auth/me/" {
					continue // that is no name, and nobody needs one
				}
				owner.Call(at.method, at.path, at.body).WantProblem(400)
			}
		}
		for _, bad := range []string{"Upper", "-a", "a-", "a_b", "a b", "ä", "a/b", "..", strings.Repeat("a", 64), randomID()} {
			owner.Call("POST", "/projects/", map[string]any{"name": "x", "slug": bad}).WantProblem(400)
			owner.Call("PATCH", p1, map[string]any{"slug": bad}).WantProblem(400)
			owner.Call("POST", p1+"environments/", map[string]any{"name": "x", "slug": bad}).WantProblem(400)
			owner.Call("PATCH", p1+"environments/development/", map[string]any{"slug": bad}).WantProblem(400)
		}
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("bad names changed the database:\n%s", diff)
		}
	})
}

// TestQueriesAreStrict sends parameters that a route does not take, or takes
// once, or takes in another form.
func TestQueriesAreStrict(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		for _, r := range rest.Routes() {
			path, body := w.request(r, "owner", "development")
			for _, query := range []string{"?unknown=" + mark, "?" + mark + "=1", "?" + mark, "?a=%zz" + mark, "?limit=1;cursor=2", "?limit=1&limit=1&x=", "?Limit=1", "?token=hlp_" + mark} {
				answer := owner.Call(r.Method, path+query, body)
				answer.WantProblem(400)
				if strings.Contains(answer.Body, mark) {
					t.Errorf("%s%s repeats the input: %s", name(r), query, answer.Body)
				}
			}
		}
		p1 := "/projects/" + w.p1.slug + "/"
		for _, bad := range []string{
			"/projects/?limit=0", "/projects/?limit=1001", "/projects/?limit=-1", "/projects/?limit=x", "/projects/?limit=", "/projects/?limit=1e2",
			"/projects/?limit=99999999999999999999", "/projects/?cursor=" + mark, "/projects/?cursor=%00", "/projects/?cursor=a&cursor=b",
			p1 + "audit/?cursor=x", p1 + "audit/?cursor=-1", p1 + "audit/?cursor=99999999999999999999", p1 + "audit/?limit=1001",
			p1 + "audit/?from=yesterday", p1 + "audit/?to=2027-01-01", p1 + "audit/?from=", p1 + "audit/?actor=%00", p1 + "audit/?action=%ff",
			p1 + "audit/?action=" + mark + "%00",
			p1 + "environments/development/secrets/?values=1", p1 + "environments/development/secrets/?values=True", p1 + "environments/development/secrets/?values=",
			p1 + "environments/development/secrets/?values=true&values=true",
		} {
			answer := owner.Call("GET", bad, nil)
			answer.WantProblem(400)
			if strings.Contains(answer.Body, mark) {
				t.Errorf("%s repeats the input: %s", bad, answer.Body)
			}
		}
	})
}
