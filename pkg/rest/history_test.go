package rest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// told is a list as "KEY=value", one after the other.
func told(list api.SecretList) string {
	parts := make([]string, len(list.Results))
	for i, s := range list.Results {
		parts[i] = s.Key
		if s.Value != nil {
			parts[i] += "=" + s.Value.Reveal()
		}
	}
	return strings.Join(parts, " ")
}

// TestFormerStates reads an environment as it was, and one secret.
func TestFormerStates(t *testing.T) {
	eachRoom(t, func(r *room) {
		t := r.t
		before := time.Now().UTC()
		r.put("A", "one")
		r.put("B", "two")
		r.put("A", "three")
		r.owner.Call("PATCH", r.at+"B/", map[string]any{"key": "C"}).Want(200)
		r.owner.Call("DELETE", r.at+"A/", nil).Want(204)
		for query, want := range map[string]string{
			"?values=true&revision=0": "", "?values=true&revision=1": "A=one", "?values=true&revision=2": "A=one B=two",
			"?values=true&revision=3": "A=three B=two", "?values=true&revision=4": "A=three C=two", "?values=true&revision=5": "C=two",
			"?revision=4": "A C", "?values=true&at=" + url.QueryEscape(before.Format(time.RFC3339Nano)): "",
			"?values=true&at=2100-01-01T00:00:00Z": "C=two", "?deleted=true": "A",
		} {
			if got := told(r.list(query)); got != want {
				t.Errorf("%s: %q, want %q", query, got, want)
			}
		}
		for query, status := range map[string]int{
			"?revision=6": 404, "?revision=-1": 400, "?revision=x": 400, "?revision=1&at=2100-01-01T00:00:00Z": 400, "?at=now": 400,
			"?at=2100-01-01": 400, "?deleted=true&values=true": 400, "?deleted=true&revision=1": 400, "?revision=1&revision=2": 400,
			"A/?version=0": 400, "A/?version=9": 404, "A/?version=3": 404, "A/?version=x": 400,
		} {
			r.owner.Call("GET", r.at+query, nil).WantProblem(status)
		}
		answer := r.owner.Call("GET", r.at+"?values=true&revision=3", nil).Want(200)
		if tag := answer.Header.Get("ETag"); tag != `"3"` {
			t.Errorf("ETag of revision 3: %s", tag)
		}
		reads := r.s.Count("audit_events", "action = 'secret.read'")
		r.owner.Call("GET", r.at+"?values=true&revision=3", nil, `If-None-Match: "3"`).Want(http.StatusNotModified)
		if n := r.s.Count("audit_events", "action = 'secret.read'"); n != reads {
			t.Error("what was not sent is audited as read")
		}
		var s api.Secret
		r.owner.Call("GET", r.at+"A/?version=1", nil).Want(200).Decode(&s)
		if s.Value == nil || s.Value.Reveal() != "one" || s.Version != 1 {
			t.Errorf("version 1 of A: %+v", s)
		}
		r.s.Exec("UPDATE environments SET history_from = 3 WHERE slug = 'development'")
		for _, query := range []string{"?revision=2", "?at=" + url.QueryEscape(before.Format(time.RFC3339Nano)), "?revision=0&values=true"} {
			if p := r.owner.Call("GET", r.at+query, nil).WantProblem(http.StatusGone); !strings.Contains(p.Detail, "revision 3") {
				t.Errorf("%s does not say from where on the history is kept: %s", query, p.Detail)
			}
		}
		var page api.Page[api.EnvironmentRevision]
		r.owner.Call("GET", strings.TrimSuffix(r.at, "secrets/")+"revisions/", nil).Want(200).Decode(&page)
		if n := len(page.Results); n != 3 || page.Results[n-1].Revision != 3 || page.Next != nil {
			t.Errorf("revisions that are kept: %+v", page)
		}
	})
}

// TestRollbackAndRestoreAreConditionalWrites: they take If-Match as other writes
// do, are strict about what they are sent, and change nothing if refused.
func TestRollbackAndRestoreAreConditionalWrites(t *testing.T) {
	eachRoom(t, func(r *room) {
		t := r.t
		r.put("A", "one")
		r.put("A", "two")
		restore := strings.TrimSuffix(r.at, "secrets/") + "restore/"
		before := r.s.State()
		for _, bad := range []struct {
			path, match string
			body        any
			status      int
		}{
			{r.at + "A/rollback/", `"v1"`, map[string]any{"version": 1}, 412},
			{r.at + "A/rollback/", `"1"`, map[string]any{"version": 1}, 412},
			{r.at + "A/rollback/", "", map[string]any{"version": 3}, 404},
			{r.at + "A/rollback/", "", map[string]any{"version": 0}, 404},
			{r.at + "A/rollback/", "", map[string]any{"version": "1"}, 400},
			{r.at + "A/rollback/", "", map[string]any{"version": 1, "key": "B"}, 400},
			{r.at + "NEVER/rollback/", "", map[string]any{"version": 1}, 404},
			{restore, `"1"`, map[string]any{"revision": 1}, 412},
			{restore, `"v1"`, map[string]any{"revision": 1}, 400},
			{restore, "", map[string]any{}, 400},
			{restore, "", map[string]any{"revision": 1, "at": "2100-01-01T00:00:00Z"}, 400},
			{restore, "", map[string]any{"revision": 3}, 404},
			{restore, "", map[string]any{"revision": -1}, 404},
			{restore, "", map[string]any{"at": "yesterday"}, 400},
		} {
			headers := []string{}
			if bad.match != "" {
				headers = append(headers, "If-Match: "+bad.match)
			}
			answer := r.owner.Call("POST", bad.path, bad.body, headers...)
			if answer.Status != bad.status {
				t.Errorf("%s %v %s: %d %s", bad.path, bad.body, bad.match, answer.Status, answer.Body)
			}
		}
		if diff := cmp.Diff(before, r.s.State()); diff != "" {
			t.Fatalf("what was refused changed the database:\n%s", diff)
		}
		answer := r.owner.Call("POST", r.at+"A/rollback/", map[string]any{"version": 1}, `If-Match: "v2"`).Want(200)
		if answer.Header.Get("ETag") != `"v3-3"` || r.get("A").Value.Reveal() != "one" {
			t.Errorf("rolled back: %s", answer.Body)
		}
		var result api.BulkResult
		answer = r.owner.Call("POST", restore, map[string]any{"revision": 2}, `If-Match: "3"`).Want(200).Decode(&result)
		if answer.Header.Get("ETag") != `"4"` || result.Revision != 4 || len(result.Updated) != 1 || r.get("A").Value.Reveal() != "two" {
			t.Errorf("restored: %s", answer.Body)
		}
	})
}

// TestNobodyLearnsOfForeignHistory asks with each parameter of the history, as
// another tenant, as a token of another environment and across environments.
func TestNobodyLearnsOfForeignHistory(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		w.newToken("owner", &w.p1, "staging-token", "write", []string{"staging"})
		development := w.p1.environments["development"]
		owner.Call("PUT", "/projects/"+w.p1.slug+"/environments/development/secrets/GONE/", map[string]any{"value": "x"}).Want(201)
		owner.Call("DELETE", "/projects/"+w.p1.slug+"/environments/development/secrets/GONE/", nil).Want(204)
		before := s.State()
		for _, caller := range []string{"outsider", "foreign-token", "staging-token"} {
			c := w.callers[caller]
			own := w.p2.slug
			if caller == "staging-token" {
				own = w.p1.slug
			}
			for _, environment := range []string{w.p1.slug + "/environments/development", w.p1.id + "/environments/" + development, own + "/environments/" + development} {
				base := "/projects/" + environment + "/"
				for _, path := range []string{
					"secrets/?revision=1", "secrets/?revision=0", "secrets/?revision=99", "secrets/?revision=1&values=true",
					"secrets/?at=2100-01-01T00:00:00Z&values=true", "secrets/?deleted=true", "secrets/API_KEY/?version=1",
					"secrets/GONE/?version=1", "secrets/API_KEY/versions/", "secrets/GONE/versions/?limit=1", "revisions/", "revisions/?cursor=2",
				} {
					never := c.Call("GET", "/projects/"+own+"/environments/never-was/"+path, nil).WantProblem(404)
					got := c.Call("GET", base+path, nil, `If-None-Match: "1"`).WantProblem(404)
					if got.Detail != never.Detail {
						t.Errorf("%s as %s: %q", path, caller, got.Detail)
					}
				}
				c.Call("POST", base+"restore/", map[string]any{"revision": 0}).WantProblem(404)
				c.Call("POST", base+"restore/", map[string]any{"revision": 0, "dry_run": true}).WantProblem(404)
				c.Call("POST", base+"secrets/GONE/rollback/", map[string]any{"version": 1}).WantProblem(404)
			}
		}
		// In the caller's own environment, the versions of another one with the same key.
		for _, version := range []string{"2", "3"} {
			w.callers["staging-token"].Call("GET", "/projects/"+w.p1.slug+"/environments/staging/secrets/API_KEY/?version="+version, nil).WantProblem(404)
		}
		w.callers["staging-token"].Call("GET", "/projects/"+w.p1.slug+"/environments/staging/secrets/GONE/versions/", nil).WantProblem(404)
		if diff := cmp.Diff(before, s.State()); diff != "" {
			t.Errorf("the attempts changed the database:\n%s", diff)
		}
	})
}

// TestHistoryComesInPages reads versions and revisions by their cursors.
func TestHistoryComesInPages(t *testing.T) {
	eachRoom(t, func(r *room) {
		t := r.t
		const n = 9
		for i := range n {
			r.put("A", fmt.Sprint(i))
		}
		for path, number := range map[string]func(body heartlocktest.Answer) (numbers []int64, next *string){
			r.at + "A/versions/": func(a heartlocktest.Answer) (numbers []int64, next *string) {
				var page api.Page[api.SecretVersion]
				a.Decode(&page)
				for _, v := range page.Results {
					numbers = append(numbers, v.Version)
				}
				return numbers, page.Next
			},
			strings.TrimSuffix(r.at, "secrets/") + "revisions/": func(a heartlocktest.Answer) (numbers []int64, next *string) {
				var page api.Page[api.EnvironmentRevision]
				a.Decode(&page)
				for _, v := range page.Results {
					numbers = append(numbers, v.Revision)
				}
				return numbers, page.Next
			},
		} {
			var all []int64
			for cursor := ""; ; {
				numbers, next := number(r.owner.Call("GET", path+"?limit=4"+cursor, nil).Want(200))
				all = append(all, numbers...)
				if next == nil {
					break
				}
				cursor = "&cursor=" + *next
			}
			if diff := cmp.Diff([]int64{9, 8, 7, 6, 5, 4, 3, 2, 1}, all); diff != "" {
				t.Errorf("%s:\n%s", path, diff)
			}
			for _, bad := range []string{"?cursor=x", "?cursor=0", "?limit=0", "?limit=1001"} {
				r.owner.Call("GET", path+bad, nil).WantProblem(400)
			}
		}
	})
}
