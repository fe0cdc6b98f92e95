package rest_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/rest"
	"github.com/heartlock/heartlock/pkg/vault"
)

// document loads the served document and closes its schemas, so that a field
// that it does not name fails.
func document(t *testing.T, s *heartlocktest.Server) *openapi3.T {
	t.Helper()
	answer := s.Anonymous().Call("GET", "/openapi.json", nil).Want(200)
	doc, err := openapi3.NewLoader().LoadFromData([]byte(answer.Body))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	made, err := rest.Document("1.2.3")
	if err != nil || string(made) != answer.Body || answer.Header.Get("Content-Type") != "application/json" {
		t.Errorf("the served document is another one: %v", err)
	}
	closed := false
	for _, schema := range doc.Components.Schemas {
		if schema.Value.Properties != nil {
			schema.Value.AdditionalProperties = openapi3.AdditionalProperties{Has: &closed}
		}
	}
	return doc
}

func operation(t *testing.T, doc *openapi3.T, r rest.Route) *openapi3.Operation {
	t.Helper()
	item := doc.Paths.Value(api.Prefix + r.Path)
	if item == nil || item.Operations()[r.Method] == nil {
		t.Fatalf("%s is not in the document", name(r))
	}
	return item.Operations()[r.Method]
}

// TestDocumentIsTheRouteTable: not one route more or less, and of each its
// parameters, its body and who may use it.
func TestDocumentIsTheRouteTable(t *testing.T) {
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	doc := document(t, s)
	var want, got, ids []string
	for _, r := range rest.Routes() {
		want = append(want, r.Method+" "+api.Prefix+r.Path)
		op := operation(t, doc, r)
		ids = append(ids, op.OperationID)
		rule, _ := vault.RuleFor(r.Action)
		if (op.Security == nil) != rule.Open {
			t.Errorf("%s: open in the policy: %v, in the document: %v", name(r), rule.Open, op.Security == nil)
		}
		for part := range strings.SplitSeq(r.Path, "/") {
			if parameter := strings.Trim(part, "{}"); parameter != part && op.Parameters.GetByInAndName("path", parameter) == nil {
				t.Errorf("%s: {%s} is not described", name(r), parameter)
			}
		}
		for _, p := range op.Parameters {
			if p.Value.Description == "" {
				t.Errorf("%s: %s has no description", name(r), p.Value.Name)
			}
		}
		if (op.RequestBody != nil) != (examples[name(r)].body != nil) {
			t.Errorf("%s: body in the document: %v", name(r), op.RequestBody != nil)
		}
		honoursKey := slices.ContainsFunc(creating(), func(c rest.Route) bool { return name(c) == name(r) })
		if (op.Parameters.GetByInAndName("header", "Idempotency-Key") != nil) != honoursKey {
			t.Errorf("%s: Idempotency-Key is honoured: %v", name(r), honoursKey)
		}
		if op.Summary == "" || !strings.HasSuffix(op.Summary, ".") {
			t.Errorf("%s: summary %q", name(r), op.Summary)
		}
	}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			got = append(got, method+" "+path)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes:\n%s", diff)
	}
	slices.Sort(ids)
	if unique := slices.Compact(slices.Clone(ids)); len(unique) != len(ids) {
		t.Errorf("an operationId stands there twice: %v", ids)
	}
}

// TestAnswersAreAsDocumented sends every example and compares what comes back,
// and what a stranger gets, with the schemas.
func TestAnswersAreAsDocumented(t *testing.T) {
	s := heartlocktest.StartServer(t, heartlocktest.ServerOptions{})
	w := newWorld(t, s, s.Onboard())
	doc := document(t, s)
	for _, r := range rest.Routes() {
		for _, caller := range []string{"owner", "anonymous", "read-token"} {
			path, body := w.request(r, caller, "development")
			if body != nil && operation(t, doc, r).RequestBody != nil {
				matches(t, name(r)+" request", operation(t, doc, r).RequestBody.Value.Content["application/json"], encode(t, body))
			}
			answer := w.callers[caller].Call(r.Method, path, body)
			checkAnswer(t, doc, r, answer)
			if answer.Status < 300 && r.Method != "GET" {
				w.restoreAfter(r, caller)
			}
		}
	}
	owner, p1 := w.callers["owner"], "/projects/"+w.p1.slug+"/"
	route := func(n string) rest.Route {
		for _, r := range rest.Routes() {
			if name(r) == n {
				return r
			}
		}
		t.Fatalf("no route %s", n)
		return rest.Route{}
	}
	list := route("GET " + environment + "secrets/")
	checkAnswer(t, doc, list, owner.Call("GET", p1+"environments/development/secrets/?values=true", nil))
	checkAnswer(t, doc, list, owner.Call("GET", p1+"environments/development/secrets/", nil, "If-None-Match: *"))
	checkAnswer(t, doc, route("GET "+environment+"secrets/{key}/"), owner.Call("GET", p1+"environments/development/secrets/API_KEY/", nil, "If-None-Match: *"))
	checkAnswer(t, doc, route("PUT "+environment+"secrets/{key}/"), owner.Call("PUT", p1+"environments/development/secrets/PATH/", map[string]any{"value": "x"}))
}

// restoreAfter makes the world good again after a request that succeeded.
func (w *world) restoreAfter(r rest.Route, caller string) {
	if examples[name(r)].endsSessions {
		w.restore(caller)
	}
	if strings.Contains(r.Path, "{project}") {
		w.build()
	}
}

// checkAnswer compares an answer with what the document says of its status.
func checkAnswer(t *testing.T, doc *openapi3.T, r rest.Route, answer heartlocktest.Answer) {
	t.Helper()
	what := name(r) + " " + strconv.Itoa(answer.Status)
	responses := operation(t, doc, r).Responses
	response := responses.Status(answer.Status)
	if response == nil {
		if answer.Status < 400 {
			t.Errorf("%s is not in the document", what)
			return
		}
		response = responses.Default()
	}
	kind := answer.Header.Get("Content-Type")
	content := response.Value.Content[kind]
	switch {
	case answer.Body == "" && len(response.Value.Content) == 0:
	case content == nil:
		t.Errorf("%s: the document knows no answer of type %q", what, kind)
	case strings.HasPrefix(kind, "text/"): // any text is one
	default:
		matches(t, what, content, answer.Body)
	}
}

func matches(t *testing.T, what string, content *openapi3.MediaType, text string) {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if err := content.Schema.Value.VisitJSON(value, openapi3.MultiErrors()); err != nil {
		t.Errorf("%s is not as documented: %v", what, err)
	}
}
