package rest_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/rest"
	"github.com/heartlock/heartlock/pkg/vault"
)

var (
	update     = flag.Bool("update", false, "write the golden files anew")
	outcomeDir = flag.String("outcomes", "", "write what everybody was answered into this directory, as JSON")
)

const matrixFile = "testdata/matrix.golden"

// expected is the status that the policy's line for a route asks for. It reads
// the table and knows nothing of how the server decides.
func expected(t *testing.T, r rest.Route, caller, environment string) int {
	t.Helper()
	rule, ok := vault.RuleFor(r.Action)
	if !ok {
		t.Fatalf("%s: the policy has no line for %s", name(r), r.Action)
	}
	success := r.Status
	if s := examples[name(r)].status; s != 0 {
		success = s
	}
	service := map[string]api.Access{"read-token": api.AccessRead, "write-token": api.AccessWrite, "foreign-token": api.AccessWrite}
	access, isService := service[caller]
	switch {
	case rule.NoToken && (isService || caller == "owner-token"):
		return 403
	case rule.Open:
		return success
	case caller == "anonymous":
		return 401
	case isService && rule.Token == "", caller == "owner-token" && rule.SessionOnly:
		return 403
	case rule.Superuser && strings.TrimSuffix(caller, "-token") != "owner": // who did the first run
		return 403
	case !strings.Contains(r.Path, "{project}"):
		return success
	case caller == "outsider", caller == "foreign-token":
		return 404
	case caller == "limited" && environment == "production":
		return 404
	case isService && !access.AtLeast(rule.Token):
		return 403
	case isService:
		return success
	}
	need := rule.Role
	if environment == "production" && rule.ProtectedRole != "" {
		need = rule.ProtectedRole
	}
	role := roles[strings.TrimSuffix(caller, "-token")]
	if caller == "limited" && environment == "staging" {
		role = api.RoleViewer
	}
	if !role.AtLeast(need) {
		return 403
	}
	return success
}

// TestRoleMatrix calls every route as everybody, on either engine, and compares
// with the policy table and with a file that a person has read. What is refused
// must change nothing.
func TestRoleMatrix(t *testing.T) {
	want := goldenMatrix(t)
	if *update {
		if err := os.WriteFile(matrixFile, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(matrixFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(golden), want); diff != "" {
		t.Fatalf("the policy is not the one that was read last; if it should be, run with -update and read the difference:\n%s", diff)
	}
	heartlocktest.EachEngine(t, func(t *testing.T, s *heartlocktest.Server, owner *heartlocktest.Caller) {
		w := newWorld(t, s, owner)
		seen, policy := outcomes{}, outcomes{}
		try := func(r rest.Route, caller, environment string) {
			seen.note(r, caller, environment, w.try(r, caller, environment))
			policy.note(r, caller, environment, expected(t, r, caller, environment))
		}
		for _, r := range rest.Routes() {
			for _, caller := range callerNames {
				try(r, caller, "development")
				if strings.Contains(r.Path, "{environment}") {
					try(r, caller, "production")
				}
			}
			if strings.Contains(r.Path, "{environment}") {
				try(r, "limited", "staging") // to everybody else it is what development is
			}
		}
		if diff := cmp.Diff(policy.json(t), seen.json(t)); diff != "" {
			t.Errorf("the outcomes are not those of the policy (-policy +seen):\n%s", diff)
		}
		if *outcomeDir != "" {
			file := filepath.Join(*outcomeDir, "outcomes-"+s.Store().Engine().String()+".json")
			if err := os.WriteFile(file, []byte(seen.json(t)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// outcomes are statuses by route, environment and caller.
type outcomes map[string]map[string]map[string]int

func (o outcomes) note(r rest.Route, caller, environment string, status int) {
	if !strings.Contains(r.Path, "{environment}") {
		environment = ""
	}
	if o[name(r)] == nil {
		o[name(r)] = map[string]map[string]int{}
	}
	if o[name(r)][environment] == nil {
		o[name(r)][environment] = map[string]int{}
	}
	o[name(r)][environment][caller] = status
}

func (o outcomes) json(t *testing.T) string {
	t.Helper()
	text, err := json.Marshal(o, json.Deterministic(true), jsontext.Multiline(true))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// try makes one request of the matrix and returns the status of its answer.
func (w *world) try(r rest.Route, caller, environment string) int {
	w.t.Helper()
	path, body := w.request(r, caller, environment)
	if e := examples[name(r)]; w.known == "" || e.id != nil || e.body != nil { // which may have made something
		w.known = w.s.State()
	}
	before, refusals := w.known, w.refusals("")
	answer := w.callers[caller].Call(r.Method, path, body)
	want := expected(w.t, r, caller, environment)
	if answer.Status != want {
		w.t.Errorf("%s (%s) as %s: %d, want %d: %.200s", name(r), environment, caller, answer.Status, want, answer.Body)
	}
	if answer.Status >= 400 {
		answer.WantProblem(answer.Status)
	}
	recorded := 0
	if answer.Status == 403 {
		recorded = 1
	}
	if n := w.refusals("") - refusals; n != recorded {
		w.t.Errorf("%s (%s) as %s answered %d, and %d refusals were recorded", name(r), environment, caller, answer.Status, n)
	}
	if answer.Status >= 400 || r.Method == "GET" {
		if diff := cmp.Diff(before, w.s.State()); diff != "" {
			w.t.Errorf("%s as %s answered %d and changed the database:\n%s", name(r), caller, answer.Status, diff)
		}
		return answer.Status
	}
	w.known = ""
	w.restoreAfter(r, caller)
	return answer.Status
}

// refusals counts those in the audit trail that meet a condition.
func (w *world) refusals(condition string) int {
	w.t.Helper()
	return w.s.Count("audit_events", "outcome = 'refused'"+condition)
}

// restore gives the caller the credentials back that his request has ended.
func (w *world) restore(caller string) {
	if c := w.callers[caller]; caller == "anonymous" {
		w.callers[caller] = w.s.Anonymous()
	} else if c.UserID != "" && c.Bearer == "" {
		w.signIn(caller)
	}
}

// goldenMatrix is the matrix as a table.
func goldenMatrix(t *testing.T) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-72s", "# who gets what: made from the policy, read by people")
	for _, c := range callerNames {
		fmt.Fprintf(&b, " %s", c)
	}
	b.WriteString("\n")
	line := func(r rest.Route, environment, remark string) {
		label := name(r) + remark
		fmt.Fprintf(&b, "%-72s", label)
		for _, c := range callerNames {
			status := strconv.Itoa(expected(t, r, c, environment))
			if environment == "staging" && c != "limited" {
				status = "" // as above
			}
			fmt.Fprintf(&b, " %-*s", len(c), status)
		}
		b.WriteString("\n")
	}
	for _, r := range rest.Routes() {
		line(r, "development", "")
		if strings.Contains(r.Path, "{environment}") {
			line(r, "production", " (protected)")
			line(r, "staging", " (to read)")
		}
	}
	return b.String()
}

// TestPolicyAndRoutesBelongTogether: a line that no route asks for, or a route
// that no line answers, is a mistake in one of the tables.
func TestPolicyAndRoutesBelongTogether(t *testing.T) {
	asked := map[vault.Action]bool{}
	asked[vault.ActionLeaveProject] = true // the removal of a member, when it is oneself
	for _, a := range []vault.Action{      // which pages ask for
		vault.ActionApproveCLILogin, vault.ActionDenyCLILogin, vault.ActionReadDevice, vault.ActionApproveDevice, vault.ActionDenyDevice,
	} {
		asked[a] = true
	}
	for _, r := range rest.Routes() {
		asked[r.Action] = true
		if _, ok := vault.RuleFor(r.Action); !ok {
			t.Errorf("%s: the policy has no line for %s", name(r), r.Action)
		}
	}
	for _, a := range vault.Policy() {
		if rule, _ := vault.RuleFor(a); asked[a] == rule.LocalOnly {
			t.Errorf("%s: local only: %v, has a route: %v", a, rule.LocalOnly, asked[a])
		}
	}
}
