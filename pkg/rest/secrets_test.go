package rest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// room is one environment and its owner, for what is about secrets alone.
type room struct {
	t     *testing.T
	s     *heartlocktest.Server
	owner *heartlocktest.Caller
	path  string // of the project
	at    string // of the environment's secrets
}

func eachRoom(t *testing.T, test func(r *room)) {
	t.Helper()
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		owner.Call("POST", "/projects/", map[string]any{"name": "Shop"}).Want(201)
		test(&room{t: t, s: s, owner: owner, path: "/projects/shop/", at: "/projects/shop/environments/development/secrets/"})
	})
}

func (r *room) put(key, value string, headers ...string) heartlocktest.Answer {
	r.t.Helper()
	return r.owner.Call("PUT", r.at+key+"/", map[string]any{"value": value}, headers...)
}

func (r *room) get(key string) (s api.Secret) {
	r.t.Helper()
	r.owner.Call("GET", r.at+key+"/", nil).Want(200).Decode(&s)
	return s
}

func (r *room) list(query string) (list api.SecretList) {
	r.t.Helper()
	r.owner.Call("GET", r.at+query, nil).Want(200).Decode(&list)
	return list
}

func TestPutCreatesReplacesAndKeeps(t *testing.T) {
	eachRoom(t, func(r *room) {
		t := r.t
		var s api.Secret
		created := r.put("KEY", "one").Want(201).Decode(&s)
		if s.Version != 1 || s.Value != nil || created.Header.Get("ETag") != `"v1-1"` || strings.Contains(created.Body, "one") {
			t.Errorf("created: %s %v", created.Body, created.Header)
		}
		before := r.s.State()
		r.put("KEY", "one").Want(200).Decode(&s)
		if diff := cmp.Diff(before, r.s.State()); s.Version != 1 || diff != "" {
			t.Errorf("the same value made version %d:\n%s", s.Version, diff)
		}
		changed := r.put("KEY", "two").Want(200).Decode(&s)
		if s.Version != 2 || changed.Header.Get("ETag") != `"v2-2"` {
			t.Errorf("changed: %+v", s)
		}
		if got := r.get("KEY"); got.Value.Reveal() != "two" || got.Version != 2 || got.UpdatedBy.Name != heartlocktest.OwnerEmail {
			t.Errorf("read: version %d", got.Version)
		}
		r.owner.Call("PUT", r.at+"KEY/", map[string]any{"value": "two", "comment": "why"}).Want(200).Decode(&s)
		if s.Version != 3 || s.Comment != "why" {
			t.Errorf("a comment: %+v", s)
		}
		r.put("KEY", "three").Want(200).Decode(&s)
		if s.Comment != "why" {
			t.Error("an absent comment did not stay")
		}
		if list := r.list(""); list.Revision != 4 || len(list.Results) != 1 || list.Next != nil || list.Results[0].Value != nil {
			t.Errorf("list: %+v", list)
		}
		for _, key := range []string{"LD_PRELOAD", "PATH"} {
			r.put(key, "x").Want(201).Decode(&s)
			if len(s.Warnings) == 0 {
				t.Errorf("%s was taken without a warning", key)
			}
		}
	})
}

// TestValuesComeBackByteForByte is the first promise of a secrets manager.
func TestValuesComeBackByteForByte(t *testing.T) {
	eachRoom(t, func(r *room) {
		values := []string{
			"", " ", "\n", "a\r\nb\n", "\ttab ", `'"$\` + "`" + `#=`, "\ufeffBOM", "é\u0301中🔒\U0010FFFF", "\u0001\x7f\u0085\u2028\u202e",
			"-----BEGIN KEY-----\nMII\n-----END KEY-----\n", `{"json":["a",1]}`, "null", "true", "<script>&amp;</script>", strings.Repeat("x", 64<<10), "\\u0041", "%00%0a",
		}
		set := map[string]any{}
		for i, v := range values {
			key := fmt.Sprintf("K%03d", i)
			r.put(key, v).Want(201)
			if got := r.get(key); got.Value == nil || got.Value.Reveal() != v {
				r.t.Errorf("%q did not come back", v)
			}
			set["B"+key] = v
		}
		r.owner.Call("POST", r.at+"bulk/", map[string]any{"set": set}).Want(200)
		list := r.list("?values=true")
		if len(list.Results) != 2*len(values) {
			r.t.Fatalf("%d secrets", len(list.Results))
		}
		for i, s := range list.Results {
			if want := values[i%len(values)]; s.Value == nil || s.Value.Reveal() != want {
				r.t.Errorf("%s: %q did not come back", s.Key, want)
			}
		}
		for _, bad := range []string{"a\x00b", strings.Repeat("x", 64<<10+1)} {
			r.put("BAD", bad).WantProblem(400)
			r.owner.Call("POST", r.at+"bulk/", map[string]any{"set": map[string]any{"BAD": bad}}).WantProblem(400)
		}
		r.owner.Call("PUT", r.at+"BAD/", "{\"value\":\"a\xffb\"}").WantProblem(400)
		r.owner.Call("PUT", r.at+"BAD/", `{"value":"\ud800"}`).WantProblem(400)
		r.owner.Call("GET", r.at+"BAD/", nil).WantProblem(404)
	})
}

func TestConditionsOnTheState(t *testing.T) {
	eachRoom(t, func(r *room) {
		t := r.t
		r.put("KEY", "one", "If-None-Match: *").Want(201)
		r.put("KEY", "other", "If-None-Match: *").WantProblem(412)
		r.put("NEW", "x", "If-Match: *").WantProblem(412)
		r.put("KEY", "two", "If-Match: *").Want(200)
		r.put("KEY", "three", `If-Match: "v1"`).WantProblem(412)
		r.put("KEY", "three", `If-Match: "v2"`).Want(200)
		r.put("KEY", "four", `If-Match: "2"`).WantProblem(412)
		r.put("KEY", "four", `If-Match: "3"`).Want(200)
		r.put("NEW", "x", `If-Match: "v1"`).WantProblem(412)
		r.owner.Call("PATCH", r.at+"KEY/", map[string]any{"comment": "c"}, `If-Match: "v3"`).WantProblem(412)
		r.owner.Call("PATCH", r.at+"KEY/", map[string]any{"comment": "c"}, `If-Match: "v4"`).Want(200)
		r.owner.Call("DELETE", r.at+"KEY/", nil, `If-Match: "v4"`).WantProblem(412)
		r.owner.Call("DELETE", r.at+"GONE/", nil, `If-Match: *`).WantProblem(404)
		r.owner.Call("POST", r.at+"bulk/", map[string]any{"set": map[string]any{"B": "x"}}, `If-Match: "4"`).WantProblem(412)
		r.owner.Call("POST", r.at+"bulk/", map[string]any{"set": map[string]any{"B": "x"}}, `If-Match: "5"`).Want(200)
		r.owner.Call("POST", r.at+"bulk/", map[string]any{"set": map[string]any{"B": "y"}}, `If-Match: *`).Want(200)
		before := r.s.State()
		for _, bad := range []string{"v5", `"x"`, `W/"5"`, `"5", "6"`, `"v"`, `"v5-"`, `"v5-x"`, `"v5--1"`, `"v-5"`, `"5-5"`, `""`, `"-1"`, `"99999999999999999999"`, "5", `"5`} {
			r.put("KEY", "x", "If-Match: "+bad).WantProblem(400)
			r.owner.Call("DELETE", r.at+"KEY/", nil, "If-Match: "+bad).WantProblem(400)
		}
		for _, bad := range []string{`"5"`, `"v5"`, `*, *`} {
			r.put("KEY", "x", "If-None-Match: "+bad).WantProblem(400)
		}
		// A bulk request is about an environment, not about one secret.
		r.owner.Call("POST", r.at+"bulk/", map[string]any{"set": map[string]any{"B": "z"}}, `If-Match: "v1"`).WantProblem(400)
		r.owner.Call("POST", r.at+"bulk/", map[string]any{"set": map[string]any{"B": "z"}}, `If-None-Match: *`).WantProblem(400)
		if diff := cmp.Diff(before, r.s.State()); diff != "" {
			t.Errorf("what was refused changed the database:\n%s", diff)
		}
		r.owner.Call("DELETE", r.at+"KEY/", nil, `If-Match: "v5"`).Want(204)
	})
}

// TestUnchangedIsNotSentAgain: a client that has the current state gets no body,
// no value is opened, and so no reading is on record.
func TestUnchangedIsNotSentAgain(t *testing.T) {
	eachRoom(t, func(r *room) {
		t := r.t
		r.put("KEY", "one").Want(201)
		tag := r.owner.Call("GET", r.at+"?values=true", nil).Want(200).Header.Get("ETag")
		if tag != `"1"` {
			t.Fatalf("ETag %q", tag)
		}
		reads := r.s.Count("audit_events", "action = 'secret.read'")
		for _, match := range []string{tag, "W/" + tag, `"0", ` + tag, "*"} {
			answer := r.owner.Call("GET", r.at+"?values=true", nil, "If-None-Match: "+match).Want(304)
			if answer.Body != "" || answer.Header.Get("ETag") != tag {
				t.Errorf("%s: %q %v", match, answer.Body, answer.Header)
			}
			r.owner.Call("GET", r.at, nil, "If-None-Match: "+match).Want(304)
			r.owner.Call("HEAD", r.at, nil, "If-None-Match: "+match).Want(304)
		}
		if n := r.s.Count("audit_events", "action = 'secret.read'"); n != reads {
			t.Errorf("%d readings are on record that were none", n-reads)
		}
		r.put("KEY", "two").Want(200)
		r.owner.Call("GET", r.at+"?values=true", nil, "If-None-Match: "+tag).Want(200)
		own := r.owner.Call("GET", r.at+"KEY/", nil).Want(200).Header.Get("ETag")
		if r.owner.Call("GET", r.at+"KEY/", nil, "If-None-Match: "+own).Want(304).Body != "" {
			t.Error("304 with a body")
		}
		r.owner.Call("GET", "/projects/shop/environments/nowhere/secrets/", nil, "If-None-Match: *").WantProblem(404)
	})
}

func TestBulkIsAllOrNothing(t *testing.T) {
	eachRoom(t, func(r *room) {
		t := r.t
		r.put("OLD", "x").Want(201)
		r.put("SAME", "x").Want(201)
		bulk := func(body map[string]any) (result api.BulkResult) {
			t.Helper()
			r.owner.Call("POST", r.at+"bulk/", body).Want(200).Decode(&result)
			return result
		}
		request := map[string]any{"set": map[string]any{"NEW": "1", "SAME": "x", "EMPTY": ""}, "unset": []string{"OLD", "NEVER"}}
		want := api.BulkResult{
			Revision: 2, Created: []string{"EMPTY", "NEW"}, Updated: []string{}, Unchanged: []string{"NEVER", "SAME"},
			Deleted: []string{"OLD"}, DryRun: true,
		}
		before, dry := r.s.State(), map[string]any{"dry_run": true}
		for k, v := range request {
			dry[k] = v
		}
		if diff := cmp.Diff(want, bulk(dry)); diff != "" {
			t.Errorf("dry run:\n%s", diff)
		}
		if diff := cmp.Diff(before, r.s.State()); diff != "" {
			t.Errorf("the dry run changed something:\n%s", diff)
		}
		if n := r.s.Count("audit_events", `action = 'secret.read' AND detail LIKE '%"dry_run":"true"%'`); n != 1 {
			t.Errorf("the comparison of present values left %d audit events", n)
		}
		want.DryRun, want.Revision = false, 3
		if diff := cmp.Diff(want, bulk(request)); diff != "" {
			t.Errorf("bulk:\n%s", diff)
		}
		if again := bulk(request); again.Revision != 3 || len(again.Created)+len(again.Deleted)+len(again.Updated) != 0 {
			t.Errorf("the same again changed something: %+v", again)
		}

		state := r.s.State()
		many := map[string]any{}
		for i := range api.MaxSecretsPerBulk + 1 {
			many[fmt.Sprintf("MANY_%d", i)] = "x"
		}
		for what, bad := range map[string]map[string]any{
			"a bad key":         {"set": map[string]any{"GOOD": "x", "1BAD": "x"}},
			"a bad key to drop": {"set": map[string]any{"GOOD": "x"}, "unset": []string{"not a key"}},
			"a bad value":       {"set": map[string]any{"GOOD": "x", "BAD": "\x00"}},
			"both":              {"set": map[string]any{"GOOD": "x"}, "unset": []string{"GOOD"}},
			"twice":             {"set": map[string]any{"GOOD": "x"}, "unset": []string{"A", "A"}},
			"too many":          {"set": many},
			"too many, dry":     {"set": many, "dry_run": true},
			"a lone comment":    {"set": map[string]any{"GOOD": "x"}, "comments": map[string]any{"SAME": "x"}},
			"a comment to drop": {"unset": []string{"SAME"}, "comments": map[string]any{"SAME": "x"}},
			"a bad comment":     {"set": map[string]any{"GOOD": "x"}, "comments": map[string]any{"GOOD": "\u202e"}},
		} {
			answer := r.owner.Call("POST", r.at+"bulk/", bad)
			if p := answer.WantProblem(400); !strings.HasPrefix(p.Errors[0].Location, "body") {
				t.Errorf("%s: the fault is said to be in %s", what, p.Errors[0].Location)
			}
		}
		if diff := cmp.Diff(state, r.s.State()); diff != "" {
			t.Errorf("a refused request changed something:\n%s", diff)
		}
		delete(many, "MANY_0")
		if result := bulk(map[string]any{"set": many}); len(result.Created) != api.MaxSecretsPerBulk {
			t.Errorf("%d created", len(result.Created))
		}
	})
}

// TestBulkSetsComments: a comment is set with its value, stays where none is
// given, and alone makes a version.
func TestBulkSetsComments(t *testing.T) {
	eachRoom(t, func(r *room) {
		t := r.t
		bulk := func(set, comments map[string]any) (result api.BulkResult) {
			t.Helper()
			r.owner.Call("POST", r.at+"bulk/", map[string]any{"set": set, "comments": comments}).Want(200).Decode(&result)
			return result
		}
		values := map[string]any{"A": "1", "B": "2"}
		bulk(values, map[string]any{"A": "first"})
		if again := bulk(values, map[string]any{"A": "first"}); len(again.Unchanged) != 2 {
			t.Errorf("the same again: %+v", again)
		}
		if changed := bulk(values, map[string]any{"B": "second"}); cmp.Diff([]string{"B"}, changed.Updated) != "" {
			t.Errorf("a new comment: %+v", changed)
		}
		bulk(map[string]any{"A": "3"}, nil)
		var list api.SecretList
		r.owner.Call("GET", r.at, nil).Want(200).Decode(&list)
		got := map[string]string{}
		for _, s := range list.Results {
			got[s.Key] = fmt.Sprint(s.Comment, " ", s.Version)
		}
		if diff := cmp.Diff(map[string]string{"A": "first 2", "B": "second 2"}, got); diff != "" {
			t.Errorf("comments and versions (-want +got):\n%s", diff)
		}
	})
}

func TestRenameDeleteAndComeBack(t *testing.T) {
	eachRoom(t, func(r *room) {
		t := r.t
		r.put("A", "a").Want(201)
		r.put("B", "b").Want(201)
		rename := func(from, to string) heartlocktest.Answer {
			t.Helper()
			return r.owner.Call("PATCH", r.at+from+"/", map[string]any{"key": to})
		}
		rename("A", "B").WantProblem(409)
		rename("A", "1BAD").WantProblem(400)
		rename("NEVER", "C").WantProblem(404)
		rename("A", "A").Want(200)
		var s api.Secret
		rename("A", "C").Want(200).Decode(&s)
		if s.Key != "C" || s.Version != 2 || r.get("C").Value.Reveal() != "a" {
			t.Errorf("renamed: %+v", s)
		}
		r.owner.Call("GET", r.at+"A/", nil).WantProblem(404)
		r.put("A", "new a").Want(201).Decode(&s)
		if s.Version != 1 {
			t.Errorf("a new secret under a key that was given away has version %d", s.Version)
		}

		r.owner.Call("DELETE", r.at+"B/", nil).Want(204)
		r.owner.Call("DELETE", r.at+"B/", nil).WantProblem(404)
		r.owner.Call("GET", r.at+"B/", nil).WantProblem(404)
		r.owner.Call("PATCH", r.at+"B/", map[string]any{"comment": "x"}).WantProblem(404)
		r.put("B", "back").Want(201).Decode(&s)
		if s.Version != 3 || s.Comment != "" {
			t.Errorf("back: %+v", s) // 1: created, 2: deleted
		}
		if got := r.get("B"); got.Value.Reveal() != "back" {
			t.Error("another value came back")
		}
		rename("C", "D").Want(200)
		r.owner.Call("DELETE", r.at+"D/", nil).Want(204)
		rename("A", "D").Want(200)
		if got := r.get("D"); got.Value.Reveal() != "new a" {
			t.Error("the key of a deleted secret shows another value")
		}
		var keys []string
		for _, s := range r.list("").Results {
			keys = append(keys, s.Key)
		}
		if !slices.Equal(keys, []string{"B", "D"}) {
			t.Errorf("keys: %v", keys)
		}
		var e api.Environment
		r.owner.Call("GET", "/projects/shop/environments/development/", nil).Want(200).Decode(&e)
		if e.SecretCount != 2 {
			t.Errorf("%d secrets are counted", e.SecretCount)
		}
	})
}

// TestEveryChangeAndEveryReadingIsOnRecord does each thing once and reads the
// trail, which must hold that and nothing else, and never a value.
func TestEveryChangeAndEveryReadingIsOnRecord(t *testing.T) {
	eachRoom(t, func(r *room) {
		t := r.t
		const value = "Vq8-never-in-the-trail"
		start := r.s.Count("audit_events", "1 = 1")
		r.put("KEY", value).Want(201)
		r.put("KEY", value).Want(200) // nothing changed
		r.put("KEY", value+"2").Want(200)
		r.get("KEY")
		r.list("")
		r.list("?values=true")
		r.owner.Call("PATCH", r.at+"KEY/", map[string]any{"key": "OTHER"}).Want(200)
		r.owner.Call("POST", r.at+"bulk/", map[string]any{"set": map[string]any{"A": value, "B": value}, "unset": []string{"OTHER"}}).Want(200)
		r.owner.Call("DELETE", r.at+"A/", nil).Want(204)
		r.owner.Call("GET", r.at+"GONE/", nil).WantProblem(404)
		r.put("B", value, "If-None-Match: *").WantProblem(412)
		r.owner.Call("GET", "/projects/shop/", nil).Want(200)
		r.owner.Call("GET", "/auth/me/", nil).Want(200)

		answer := r.owner.Call("GET", r.path+"audit/", nil).Want(200)
		var page api.Page[api.AuditEvent]
		answer.Decode(&page)
		var trail []string
		for _, e := range page.Results {
			trail = append(trail, e.Action+" "+e.Target+" "+e.Outcome)
			if e.Actor.Name != heartlocktest.OwnerEmail || e.Actor.Kind != api.ActorUser || e.IP != "127.0.0.1" || e.RequestID == "" || e.At.IsZero() {
				t.Errorf("incomplete: %+v", e)
			}
		}
		slices.Reverse(trail)
		want := []string{
			"project.create shop success",
			"secret.create KEY success", "secret.update KEY success", "secret.read KEY success", "secret.read * success",
			"secret.update OTHER success", "secret.create A success", "secret.create B success", "secret.delete OTHER success", "secret.delete A success",
		}
		if diff := cmp.Diff(want, trail); diff != "" {
			t.Errorf("the trail:\n%s", diff)
		}
		if n := r.s.Count("audit_events", "1 = 1") - start; n != len(want)-1 {
			t.Errorf("%d events were written, %d are the project's", n, len(want)-1)
		}
		if strings.Contains(answer.Body, value) || strings.Contains(r.s.Dump(), value) || r.s.Logs.Contains(value) {
			t.Error("a value stands where no value may stand")
		}
	})
}

func TestListsComeInPages(t *testing.T) {
	eachRoom(t, func(r *room) {
		t := r.t
		for i := range 7 {
			r.owner.Call("POST", "/projects/", map[string]any{"name": fmt.Sprintf("P %d", i)}).Want(201)
			r.put(fmt.Sprintf("K%d", i), "x").Want(201)
		}
		var slugs []string
		cursor := ""
		for pages := 0; ; pages++ {
			var page api.Page[api.Project]
			r.owner.Call("GET", "/projects/?limit=3"+cursor, nil).Want(200).Decode(&page)
			for _, p := range page.Results {
				slugs = append(slugs, p.Slug)
			}
			if page.Next == nil || pages > 5 {
				break
			}
			cursor = "&cursor=" + *page.Next
		}
		if diff := cmp.Diff([]string{"p-0", "p-1", "p-2", "p-3", "p-4", "p-5", "p-6", "shop"}, slugs); diff != "" {
			t.Errorf("projects:\n%s", diff)
		}
		var events []string
		cursor = ""
		for pages := 0; ; pages++ {
			var page api.Page[api.AuditEvent]
			r.owner.Call("GET", r.path+"audit/?limit=4&action=secret.create"+cursor, nil).Want(200).Decode(&page)
			for _, e := range page.Results {
				events = append(events, e.Target)
			}
			if page.Next == nil || pages > 5 {
				break
			}
			cursor = "&cursor=" + *page.Next
		}
		if diff := cmp.Diff([]string{"K6", "K5", "K4", "K3", "K2", "K1", "K0"}, events); diff != "" {
			t.Errorf("events:\n%s", diff)
		}
		for query, want := range map[string]int{"?actor=" + r.owner.UserID: 8, "?actor=" + randomID(): 0, "?from=2100-01-01T00:00:00Z": 0, "?to=2100-01-01T00:00:00Z": 8, "?limit=1000": 8} {
			var page api.Page[api.AuditEvent]
			r.owner.Call("GET", r.path+"audit/"+query, nil).Want(200).Decode(&page)
			if len(page.Results) != want {
				t.Errorf("%s: %d events, want %d", query, len(page.Results), want)
			}
		}
	})
}

// TestProtectedEnvironments: to protect one, or to make a protected one, takes
// the role that changing it would.
func TestProtectedEnvironments(t *testing.T) {
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		p1 := "/projects/" + w.p1.slug + "/environments/"
		member, admin := w.callers["member"], w.callers["admin"]
		member.Call("PATCH", p1+"production/", map[string]any{"protected": false}).WantProblem(403)
		member.Call("PATCH", p1+"staging/", map[string]any{"protected": true}).WantProblem(403)
		member.Call("POST", p1, map[string]any{"name": "Mine", "protected": true}).WantProblem(403)
		member.Call("POST", p1, map[string]any{"name": "Mine"}).Want(201)
		admin.Call("PATCH", p1+"staging/", map[string]any{"protected": true}).Want(200)
		member.Call("PUT", p1+"staging/secrets/X/", map[string]any{"value": "x"}).WantProblem(403)
		admin.Call("PUT", p1+"staging/secrets/X/", map[string]any{"value": "x"}).Want(201)
		admin.Call("PATCH", p1+"staging/", map[string]any{"protected": false}).Want(200)
		member.Call("PUT", p1+"staging/secrets/X/", map[string]any{"value": "y"}).Want(200)
		owner.Call("POST", p1, map[string]any{"name": "Mine"}).WantProblem(409)
		owner.Call("PATCH", p1+"mine/", map[string]any{"slug": "staging"}).WantProblem(409)
		owner.Call("PATCH", p1+"mine/", map[string]any{"position": -1}).WantProblem(400)
		owner.Call("PATCH", "/projects/"+w.p1.slug+"/", map[string]any{"slug": w.p2.slug}).WantProblem(409)
		// What is deleted is gone with everything in it.
		id := w.p1.environments["staging"]
		owner.Call("DELETE", p1+"staging/", nil).Want(204)
		if n := s.Count("secrets", "environment_id = '"+id+"'"); n != 0 {
			t.Errorf("%d secrets stayed behind", n)
		}
		owner.Call("DELETE", "/projects/"+w.p1.slug+"/", nil).Want(204)
		for table, condition := range map[string]string{"environments": "project_id", "memberships": "project_id", "tokens": "project_id"} {
			if n := s.Count(table, condition+" = '"+w.p1.id+"'"); n != 0 {
				t.Errorf("%d rows of %s stayed behind", n, table)
			}
		}
		w.callers["read-token"].Call("GET", "/auth/me/", nil).WantProblem(401)
	})
}

func TestAnEnvironmentIsBounded(t *testing.T) {
	eachRoom(t, func(r *room) {
		for batch := range api.MaxSecretsPerEnvironment / api.MaxSecretsPerBulk {
			set := map[string]any{}
			for i := range api.MaxSecretsPerBulk {
				set[fmt.Sprintf("K_%d_%d", batch, i)] = "x"
			}
			r.owner.Call("POST", r.at+"bulk/", map[string]any{"set": set}).Want(200)
		}
		r.put("ONE_MORE", "x").WantProblem(409)
		r.put("K_0_0", "changed").Want(200)
		r.owner.Call("POST", r.at+"bulk/", map[string]any{"set": map[string]any{"ONE_MORE": "x"}, "unset": []string{"K_0_1"}}).Want(200)
		r.owner.Call("DELETE", r.at+"K_0_2/", nil).Want(204)
		r.put("ANOTHER", "x").Want(201)
		r.put("ONE_TOO_MANY", "x").WantProblem(409)
		if list := r.list("?values=true"); len(list.Results) != api.MaxSecretsPerEnvironment {
			r.t.Errorf("%d secrets came back", len(list.Results))
		}
	})
}

// A condition that nobody looks at is worse than none: the caller believes in it.
func TestAConditionThatIsNotLookedAtIsRefused(t *testing.T) {
	eachRoom(t, func(r *room) {
		state := r.s.State()
		for _, path := range []string{"environments/staging/", ""} {
			r.owner.Call("DELETE", r.path+path, nil, `If-Match: "999"`).WantProblem(400)
			r.owner.Call("PATCH", r.path+path, map[string]any{"name": "x"}, `If-Match: "999"`).WantProblem(400)
		}
		if diff := cmp.Diff(state, r.s.State()); diff != "" {
			r.t.Errorf("something was changed:\n%s", diff)
		}
	})
}

// Two secrets that had the same key one after the other have the same versions,
// and are still told apart by their entity tags.
func TestEntityTagsAreOfOneSecret(t *testing.T) {
	eachRoom(t, func(r *room) {
		t := r.t
		first := r.put("KEY", "one").Want(201).Header.Get("ETag")
		r.owner.Call("GET", r.at+"KEY/", nil, "If-None-Match: "+first).Want(304)
		r.put("KEY", "one", "If-Match: "+first).Want(200)
		renamed := r.owner.Call("PATCH", r.at+"KEY/", map[string]any{"key": "OTHER"}, "If-Match: "+first).Want(200)
		r.put("KEY", "two").Want(201)
		if s := r.get("KEY"); s.Version != 1 || s.Revision != 3 {
			t.Errorf("version %d of revision %d", s.Version, s.Revision)
		}
		r.owner.Call("GET", r.at+"KEY/", nil, "If-None-Match: "+first).Want(200)
		before := r.s.State()
		r.put("KEY", "three", "If-Match: "+first).WantProblem(412)
		r.owner.Call("DELETE", r.at+"KEY/", nil, "If-Match: "+first).WantProblem(412)
		r.owner.Call("POST", r.at+"KEY/rollback/", map[string]any{"version": 1}, "If-Match: "+first).WantProblem(412)
		if diff := cmp.Diff(before, r.s.State()); diff != "" {
			t.Errorf("what was refused changed the database:\n%s", diff)
		}
		r.put("KEY", "three", `If-Match: "v1"`).Want(200) // the version alone is still taken
		if got := r.owner.Call("GET", r.at+"OTHER/", nil).Want(200).Header.Get("ETag"); got != renamed.Header.Get("ETag") || got != `"v2-2"` {
			t.Errorf("read as %s, renamed as %s", got, renamed.Header.Get("ETag"))
		}
		again := r.owner.Call("POST", r.at+"OTHER/rollback/", map[string]any{"version": 1}).Want(200).Header.Get("ETag")
		if got := r.owner.Call("GET", r.at+"OTHER/", nil).Want(200).Header.Get("ETag"); got != again {
			t.Errorf("read as %s, rolled back as %s", got, again)
		}
		for _, s := range r.list("").Results {
			if tag := fmt.Sprintf(`"v%d-%d"`, s.Version, s.Revision); tag != r.owner.Call("GET", r.at+s.Key+"/", nil).Want(200).Header.Get("ETag") {
				t.Errorf("the list says %s of %s", tag, s.Key)
			}
		}
	})
}
