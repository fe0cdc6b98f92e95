package web

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// Paths of the pages of an environment's secrets.
const (
	projectPath = "/projects/{project}/"
	tablePath   = projectPath + "environments/{environment}/"
	secretsPath = tablePath + "secrets/"
	secretPath  = secretsPath + "{key}/"
)

func (s *Site) secretsRoutes() []route {
	return []route{
		{method: get, pattern: projectPath, action: vault.ActionListEnvironments, serve: showProject},
		{method: get, pattern: tablePath, action: vault.ActionListSecrets, serve: showSecrets},
		{method: post, pattern: tablePath + "reveal/", action: vault.ActionReadSecret, serve: revealSecrets},
		{method: post, pattern: secretsPath, action: vault.ActionWriteSecret, serve: createSecret},
	}
}

// showProject goes on to the first environment that the person sees.
func showProject(v *visit) error {
	nav, err := v.projectNav("secrets")
	if err != nil {
		return err
	}
	if len(nav.Environments) > 0 {
		redirect(v.w, nav.EnvironmentBase(nav.Environments[0].Slug))
		return nil
	}
	return v.show(page{Template: "no-environment", Title: nav.Project.Name, Project: nav})
}

// EnvironmentBase is the address of an environment's pages.
func (n *projectNav) EnvironmentBase(slug string) string {
	return n.Base() + "environments/" + slug + "/"
}

// Here is the address of the pages of the environment that is shown.
func (n *projectNav) Here() string { return n.EnvironmentBase(n.Environment.Slug) }

// SecretBase is the address of the pages of a secret of the environment that is
// shown.
func (n *projectNav) SecretBase(key string) string { return n.Here() + secretBelow(key) }

// secretBelow is where a secret's pages stand below those of its environment.
func secretBelow(key string) string { return "secrets/" + key + "/" }

// doneInEnvironment is done, for a page below those of the environment of the address.
func (v *visit) doneInEnvironment(below, notice string) error {
	nav, err := v.projectNav("secrets")
	if err != nil {
		return err
	}
	return v.done(nav.Here()+below, notice)
}

// secretsPage is the table of an environment's secrets. Its values are nil unless
// somebody has asked to see them.
type secretsPage struct {
	standing
	Base     string // address of the environment's pages
	Secrets  []api.Secret
	Total    int // without the filter
	Revision int64
	Filter   string
	ByChange bool // sorted by change, the latest first; else by key
	Adding   bool // the form for a new secret is open
	Revealed bool
}

// Bounds of the groups that the rows of a long table are in. Browsers lay out a group
// only when it comes near the screen.
const (
	longTable = 200
	groupSize = 50
)

// Long reports whether the table is too long to be laid out at once.
func (p secretsPage) Long() bool { return len(p.Secrets) > longTable }

// Groups are the secrets as the table has them: all together in a short one.
func (p secretsPage) Groups() iter.Seq[[]api.Secret] {
	size := longTable
	if p.Long() {
		size = groupSize
	}
	return slices.Chunk(p.Secrets, size)
}

// Stamp is a moment in the shortest form that HTML knows, in UTC: there may be
// thousands of them.
func (secretsPage) Stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }

// Sorted makes the query that the other order is asked for with.
func (p secretsPage) Sorted(order string) string {
	query := url.Values{}
	if p.Filter != "" {
		query.Set("q", p.Filter)
	}
	if order != "" {
		query.Set("sort", order)
	}
	return "?" + query.Encode()
}

func showSecrets(v *visit) error { return v.showSecrets(v.vault.Secrets) }

// revealSecrets shows the table with all values, which the vault records.
func revealSecrets(v *visit) error { return v.showSecrets(v.vault.SecretsWithValues) }

// secretsReader reads the secrets of an environment, with values or without.
type secretsReader = func(context.Context, vault.Principal, vault.EnvironmentRef) (api.SecretList, error)

func (v *visit) showSecrets(read secretsReader) error {
	nav, err := v.projectNav("secrets")
	if err != nil {
		return err
	}
	standing, err := v.standing(nav)
	if err != nil {
		return err
	}
	list, err := read(v, v.who, v.environment())
	if err != nil {
		return err
	}
	data := secretsPage{
		Base: nav.Here(), Secrets: list.Results, Total: len(list.Results), Revision: list.Revision,
		standing: standing,
		Filter:   strings.TrimSpace(v.query("q")), ByChange: v.query("sort") == "change",
		Adding:   standing.MayWrite() && (v.query("add") != "" || v.problems != nil),
		Revealed: len(list.Results) > 0 && list.Results[0].Value != nil,
	}
	data.Secrets = filtered(data.Secrets, data.Filter)
	if data.ByChange {
		slices.SortStableFunc(data.Secrets, func(a, b api.Secret) int { return cmp.Compare(b.Revision, a.Revision) })
	}
	light := !data.Revealed && data.Filter == "" && v.problems == nil // nothing of the address or of a form is in it
	return v.show(page{Template: "secrets", Title: nav.Environment.Name + " secrets", Compressed: light, Project: nav, Data: data})
}

// filtered are the secrets whose key or comment holds the text, whatever its case.
func filtered(secrets []api.Secret, text string) []api.Secret {
	if text == "" {
		return secrets
	}
	text = strings.ToLower(text)
	return slices.DeleteFunc(slices.Clone(secrets), func(s api.Secret) bool {
		return !strings.Contains(strings.ToLower(s.Key), text) && !strings.Contains(strings.ToLower(s.Comment), text)
	})
}

// standing is what a person may do with the secrets of the environment that is shown.
type standing struct {
	// WhyNot says why he can only read them, or is "".
	WhyNot string
}

// MayWrite reports whether he may add, change and delete secrets.
func (s standing) MayWrite() bool { return s.WhyNot == "" }

func (v *visit) standing(nav *projectNav) (standing, error) {
	err := v.vault.Permits(v, v.who, vault.ActionWriteSecret, v.environment())
	switch {
	case err == nil:
		return standing{}, nil
	case fault.KindOf(err) != fault.Forbidden:
		return standing{}, err
	case nav.Project.Role == api.RoleViewer:
		return standing{"You can read these secrets and not change them: you are a viewer of this project."}, nil
	case nav.Environment.Protected:
		return standing{"This environment is protected: only admins and owners of the project change its secrets. You can read them."}, nil
	}
	return standing{"You can read these secrets and not change them: an admin of the project has limited you to reading in this environment."}, nil
}

// createSecret adds a secret. One that exists is left alone: who adds a key does not
// mean to replace a value that he has not seen.
func createSecret(v *visit) error {
	key, value, comment := v.text("key"), v.value("value"), v.lines("comment")
	ref := vault.SecretRef{EnvironmentRef: v.environment(), Key: key}
	_, _, err := v.vault.PutSecret(v, v.who, ref, api.PutSecret{Value: &value, Comment: &comment}, vault.Match{Absent: true})
	if err != nil {
		return v.again(createRefusal(key, err), showSecrets)
	}
	if api.DangerousKey(key) {
		return v.doneInEnvironment(secretBelow(key), "secret-created") // its page warns
	}
	return v.doneInEnvironment("", "secret-created")
}

// createRefusal says what to do about a key that is taken.
func createRefusal(key string, err error) error {
	if errors.Is(err, fault.PreconditionFailed) {
		return fault.New(fault.Conflict, "There is a secret "+key+" already. Open it to change its value.")
	}
	return err
}
