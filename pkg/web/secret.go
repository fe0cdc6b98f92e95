package web

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

func (s *Site) secretRoutes() []route {
	return []route{
		{method: get, pattern: secretPath, action: vault.ActionListSecrets, serve: showSecret},
		{method: post, pattern: secretPath + "reveal/", action: vault.ActionReadSecret, serve: revealSecret},
		{method: post, pattern: secretPath + "value/", action: vault.ActionWriteSecret, serve: changeValue},
		{method: post, pattern: secretPath + "details/", action: vault.ActionWriteSecret, serve: changeDetails},
		{method: post, pattern: secretPath + "delete/", action: vault.ActionDeleteSecret, serve: deleteSecret},
	}
}

// secretPage is one secret. Its value is nil unless somebody has asked to see it.
type secretPage struct {
	standing
	Base      string // address of the secret's pages
	Table     string // address of the environment's pages
	Secret    api.Secret
	Dangerous bool // programs execute something else with such a key
}

// State names the version that a form was made from; see wantedVersion.
func (p secretPage) State() string { return stateOf(p.Secret) }

func stateOf(s api.Secret) string { return fmt.Sprintf("%d-%d", s.Version, s.Revision) }

// wantedVersion is the condition that the secret is still as it was when the form
// was made. A form without it has no condition.
func (v *visit) wantedVersion() vault.Match {
	version, revision, _ := strings.Cut(v.input.Get("state"), "-")
	at, err := strconv.ParseInt(version, 10, 64)
	came, cameErr := strconv.ParseInt(revision, 10, 64)
	if err != nil || cameErr != nil {
		return vault.Match{}
	}
	return vault.Match{Version: &at, VersionCame: &came}
}

func showSecret(v *visit) error {
	list, err := v.vault.Secrets(v, v.who, v.environment())
	if err != nil {
		return err
	}
	for _, secret := range list.Results {
		if secret.Key == v.path("key") {
			return v.showSecret(secret)
		}
	}
	return errNoPage
}

// revealSecret shows the secret with its value, which the vault records.
func revealSecret(v *visit) error {
	secret, err := v.vault.Secret(v, v.who, v.secret())
	if err != nil {
		return err
	}
	return v.showSecret(secret)
}

func (v *visit) showSecret(secret api.Secret) error {
	nav, data, err := v.secretPage(secret)
	if err != nil {
		return err
	}
	return v.show(page{Template: "secret", Title: secret.Key, Project: nav, Data: data})
}

func (v *visit) secretPage(secret api.Secret) (*projectNav, secretPage, error) {
	nav, err := v.projectNav("secrets")
	if err != nil {
		return nil, secretPage{}, err
	}
	standing, err := v.standing(nav)
	if err != nil {
		return nil, secretPage{}, err
	}
	return nav, secretPage{
		Base: nav.SecretBase(secret.Key), Table: nav.Here(), Secret: secret,
		standing: standing, Dangerous: api.DangerousKey(secret.Key),
	}, nil
}

// errHiddenValue keeps a value that its form does not show from being emptied by who
// presses the button.
var errHiddenValue = fault.InvalidField("body.value", "is empty. To make it empty, reveal the value first")

// changeValue saves a new value. Who has edited an older one than there is by now is
// shown both.
func changeValue(v *visit) error {
	value := v.value("value")
	if value.Len() == 0 && v.text("shown") == "" {
		return v.again(errHiddenValue, showSecret)
	}
	secret, _, err := v.vault.PutSecret(v, v.who, v.secret(), api.PutSecret{Value: &value}, v.wantedVersion())
	if errors.Is(err, fault.PreconditionFailed) {
		return v.showConflict(value, err)
	}
	if err != nil {
		return v.again(err, showSecret)
	}
	return v.doneInEnvironment(secretBelow(secret.Key), "secret-saved")
}

// conflictPage holds two values: the one that a person wanted to save, and the one
// that somebody else has saved meanwhile.
type conflictPage struct {
	secretPage
	Mine string
	Gone bool // the secret was deleted meanwhile
}

// showConflict shows the value that was not saved beside the present one, so that
// neither is lost. It is the one page that gives back what was typed, and reading the
// present value is recorded like any other.
func (v *visit) showConflict(mine api.Value, refusal error) error {
	theirs, err := v.vault.Secret(v, v.who, v.secret())
	gone := errors.Is(err, fault.NotFound)
	if gone {
		theirs, err = api.Secret{Key: v.path("key")}, nil
	}
	if err != nil {
		return err
	}
	nav, data, err := v.secretPage(theirs)
	if err != nil {
		return err
	}
	return v.show(page{
		Template: "secret-conflict", Title: theirs.Key, Project: nav, Status: fault.KindOf(refusal).Status(),
		Data: conflictPage{secretPage: data, Mine: mine.Reveal(), Gone: gone},
	})
}

// changeDetails renames a secret and changes its comment.
func changeDetails(v *visit) error {
	key, comment := v.text("key"), v.lines("comment")
	secret, err := v.vault.PatchSecret(v, v.who, v.secret(), api.PatchSecret{Key: &key, Comment: &comment}, v.wantedVersion())
	if err != nil {
		return v.again(err, showSecret)
	}
	return v.doneInEnvironment(secretBelow(secret.Key), "secret-saved")
}

// deleteSecret removes a secret whatever its version: its page has said what is lost,
// and the history brings it back.
func deleteSecret(v *visit) error {
	if err := v.vault.DeleteSecret(v, v.who, v.secret(), vault.Match{}); err != nil {
		return err
	}
	return v.doneInEnvironment("", "secret-deleted")
}
