package vault

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// declaredActions reads the constants of type Action from the source.
func declaredActions(t *testing.T) []Action {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "policy.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var actions []Action
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Action" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			actions = append(actions, Action(text))
		}
		return true
	})
	slices.Sort(actions)
	return actions
}

func TestThePolicyTableIsComplete(t *testing.T) {
	t.Parallel()
	actions := declaredActions(t)
	if len(actions) < 30 {
		t.Fatalf("only %d actions found: the test looks in the wrong place", len(actions))
	}
	if got := Policy(); !slices.Equal(got, actions) {
		t.Errorf("policy has\n%v\nthere are\n%v", got, actions)
	}
	if len(slices.Compact(slices.Clone(actions))) != len(actions) {
		t.Errorf("two actions have one name: %v", actions)
	}
}

// TestEveryRuleIsMeant holds each line to what a rule can sensibly say.
func TestEveryRuleIsMeant(t *testing.T) {
	t.Parallel()
	for _, a := range Policy() {
		rule, _ := RuleFor(a)
		restricted := rule
		restricted.Open, restricted.NoToken, restricted.LocalOnly = false, false, false
		restricted.WithoutFactor = rule.WithoutFactor && !rule.Open
		switch {
		case rule.Open && rule.LocalOnly, (rule.Open || rule.LocalOnly) && restricted != Rule{}:
			t.Errorf("%s: what is open or local has no other conditions: %+v", a, rule)
		case rule.NoToken && !rule.Open:
			t.Errorf("%s: only what is open needs to say that tokens are refused: %+v", a, rule)
		case rule.Role != "" && !rule.Role.Valid(), rule.ProtectedRole != "" && !rule.ProtectedRole.AtLeast(rule.Role):
			t.Errorf("%s: the roles do not exist or a protected environment needs less: %+v", a, rule)
		case rule.Token != "" && !rule.Token.Valid():
			t.Errorf("%s: no such access: %+v", a, rule)
		case rule.SessionOnly && rule.Token != "":
			t.Errorf("%s: a service token has no session: %+v", a, rule)
		case rule.Superuser && (rule.Role != "" || rule.Token != ""):
			t.Errorf("%s: an administrator of the server has no role by that: %+v", a, rule)
		}
	}
}

func callers() map[string]Principal {
	user := &store.User{ID: "u", IsActive: true}
	return map[string]Principal{
		"nobody":  {},
		"session": {user: user, session: &store.Session{ID: "s"}},
		"super":   {user: &store.User{ID: "s", IsActive: true, IsSuperuser: true}, session: &store.Session{ID: "s2"}},
		"token":   {user: user, token: &credential{id: "t"}},
		"reader":  {token: &credential{id: "t", access: api.AccessRead, projectID: "p"}},
		"writer":  {token: &credential{id: "t", access: api.AccessWrite, projectID: "p"}},
		"local":   Local(),
	}
}

func TestWhatIsNotInTheTableIsRefused(t *testing.T) {
	t.Parallel()
	for name, p := range callers() {
		for _, a := range []Action{"", "secret.steal", "Secret.read", "secret.read "} {
			if err := Admit(p, a); !errors.Is(err, fault.Forbidden) {
				t.Errorf("%s may ask for %q: %v", name, a, err)
			}
		}
	}
}

func TestAdmitByKindOfCaller(t *testing.T) {
	t.Parallel()
	const (
		yes = fault.Kind(-1)
		no  = fault.Forbidden
		who = fault.Unauthenticated
	)
	for action, want := range map[Action]map[string]fault.Kind{
		ActionLogin:            {"nobody": yes, "session": yes, "token": yes, "reader": yes, "writer": yes, "local": yes},
		ActionAcceptInvitation: {"nobody": yes, "session": yes, "token": no, "reader": no, "writer": no},
		ActionReadSecret:       {"nobody": who, "session": yes, "token": yes, "reader": yes, "writer": yes},
		ActionWriteSecret:      {"nobody": who, "session": yes, "token": yes, "reader": yes, "writer": yes},
		ActionCreateToken:      {"nobody": who, "session": yes, "token": yes, "reader": no, "writer": no},
		ActionCreateOwnToken:   {"nobody": who, "session": yes, "token": no, "reader": no, "writer": no, "local": no},
		ActionChangePassword:   {"nobody": who, "session": yes, "token": no, "reader": no, "writer": no},
		ActionUpdateProfile:    {"nobody": who, "session": yes, "token": yes, "reader": no, "writer": no},
		ActionDeleteProject:    {"nobody": who, "session": yes, "token": yes, "reader": no, "writer": no},
		ActionReadAudit:        {"nobody": who, "session": yes, "token": yes, "reader": no, "writer": no},
		ActionReadStatus:       {"nobody": who, "session": no, "token": no, "reader": no, "writer": no, "local": no, "super": yes},
		ActionCreateAdmin:      {"nobody": no, "super": no, "session": no, "token": no, "reader": no, "writer": no, "local": yes},
		ActionResetPassword:    {"nobody": no, "session": no, "token": no, "reader": no, "writer": no, "local": yes},
	} {
		for name, kind := range want {
			err := Admit(callers()[name], action)
			if kind == yes && err != nil || kind != yes && !errors.Is(err, kind) {
				t.Errorf("%s, %s: %v", name, action, err)
			}
		}
	}
}

// A command on the server is nobody's account: what needs one it may not ask for.
func TestACommandOnTheServerIsNoPerson(t *testing.T) {
	t.Parallel()
	for _, a := range Policy() {
		rule, _ := RuleFor(a)
		if err := Admit(Local(), a); (err == nil) != (rule.LocalOnly || rule.Open) {
			t.Errorf("%s: %v", a, err)
		}
	}
}

func TestAuthorizeByRoleAndAccess(t *testing.T) {
	t.Parallel()
	person := callers()["session"]
	for _, a := range Policy() {
		rule, _ := RuleFor(a)
		if rule.Role == "" {
			continue
		}
		for _, protected := range []bool{false, true} {
			need := rule.Role
			if protected && rule.ProtectedRole != "" {
				need = rule.ProtectedRole
			}
			for _, role := range append(api.Roles(), "", "Owner", "owner ") {
				err := authorize(person, a, rule, role, protected)
				if may := role.AtLeast(need); may != (err == nil) || !may && !errors.Is(err, fault.Forbidden) {
					t.Errorf("%s as %q (protected %v): %v", a, role, protected, err)
				}
			}
		}
	}
	write, _ := RuleFor(ActionWriteSecret)
	read, _ := RuleFor(ActionReadSecret)
	if authorize(callers()["reader"], ActionReadSecret, read, "", true) != nil || authorize(callers()["writer"], ActionWriteSecret, write, "", true) != nil {
		t.Error("a service token is refused what it is for")
	}
	if err := authorize(callers()["reader"], ActionWriteSecret, write, "owner", false); !errors.Is(err, fault.Forbidden) {
		t.Errorf("a reading token writes: %v", err)
	}
}
