package rest_test

import (
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/rest"
)

// creating are the routes that honour Idempotency-Key: those that create.
func creating() (routes []rest.Route) {
	for _, r := range rest.Routes() {
		if r.Method == "POST" && r.Status == 201 && r.Path != "/onboarding/" {
			routes = append(routes, r)
		}
	}
	return routes
}

// TestCreatingOnceIsEnough repeats requests with the same Idempotency-Key.
func TestCreatingOnceIsEnough(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		for i, r := range creating() {
			path, body := w.request(r, "owner", "development")
			key := "Idempotency-Key: " + strings.Repeat("k", i+1)
			first := owner.Call(r.Method, path, body, key).Want(201)
			state := s.State()
			again := owner.Call(r.Method, path, body, key).Want(201)
			if first.Body != again.Body {
				t.Errorf("%s: another answer the second time:\n%s\n%s", name(r), first.Body, again.Body)
			}
			if body == nil {
				continue // there is no other request to send
			}
			other := changed(body.(map[string]any), "Something else")
			owner.Call(r.Method, path, other, key).WantProblem(409)
			if s.State() != state {
				t.Errorf("%s: the repetition changed the database", name(r))
			}
			// Keys are the caller's own.
			if rule := w.callers["admin"]; r.Path == "/auth/tokens/" {
				rule.Call(r.Method, path, other, key).Want(201)
			}
			for _, bad := range []string{strings.Repeat("k", 256), "k\u00e9", "k\u0085", strings.Repeat("k", 150) + "\xff", "k\tk"} {
				owner.Call(r.Method, path, other, "Idempotency-Key: "+bad).WantProblem(400)
			}
			owner.Call(r.Method, path, freshName(w, other), "Idempotency-Key: "+strings.Repeat("k", 254-i)).Want(201)
		}
		if dump := s.Dump(); strings.Contains(dump, "hlp_") && strings.Contains(dump, w.p1.tokens["read-token"].Token.Reveal()) {
			t.Error("a remembered answer holds a token in the clear")
		}
	})
}

// changed is a body with another name or, where people are named, address.
func changed(body map[string]any, name string) map[string]any {
	other := maps.Clone(body)
	if _, is := body["email"]; is {
		other["email"] = strings.ReplaceAll(name, " ", "") + "@example.com"
	} else {
		other["name"] = name
	}
	return other
}

func freshName(w *world, body map[string]any) map[string]any {
	fresh := changed(body, w.fresh("Fresh"))
	delete(fresh, "slug")
	return fresh
}

// TestCreatingAtTheSameTimeIsOnce races twenty equal requests.
func TestCreatingAtTheSameTimeIsOnce(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		caller := w.callers["owner-token"]
		var wg sync.WaitGroup
		answers := make([]heartlocktest.Answer, 20)
		for i := range answers {
			wg.Go(func() {
				answers[i] = caller.Call("POST", "/projects/"+w.p1.slug+"/tokens/", map[string]any{
					"name": "once", "environments": []string{"development"}, "access": "read",
				}, "Idempotency-Key: same")
			})
		}
		wg.Wait()
		token := ""
		for _, a := range answers {
			if a.Status == 409 {
				continue
			}
			var made api.ServiceToken
			a.Want(201).Decode(&made)
			if token == "" {
				token = made.Token.Reveal()
			}
			if made.Token.Reveal() != token {
				t.Error("two tokens were given out")
			}
		}
		if n := s.Count("tokens", "name = 'once'"); n != 1 || token == "" {
			t.Errorf("%d tokens were made", n)
		}
	})
}
