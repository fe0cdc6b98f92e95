package web

import (
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

const versionsPerPage = 50

// secretHistoryPage is the versions of a secret, the newest first.
type secretHistoryPage struct {
	standing
	Base     string // address of the environment's pages
	Key      string
	Newest   api.SecretVersion
	Versions []versionItem
	Next     string // cursor
	Before   string // the cursor that the page begins at; "" for the newest
	Revealed bool   // one version with its value
}

// First reports whether the page begins with the newest version.
func (p secretHistoryPage) First() bool { return p.Before == "" }

// Path is the address of the page.
func (p secretHistoryPage) Path() string { return p.Base + "secrets/" + p.Key + "/history/" }

type versionItem struct {
	api.SecretVersion
	What   string // what is different from the version before
	Newest bool
	Value  *api.Value // of the one that is revealed
}

// showSecretHistory lists the versions of a secret, without values.
func showSecretHistory(v *visit) error { return v.showSecretHistory(nil) }

// revealVersion shows the list with the value of one version, which the vault records.
func revealVersion(v *visit) error {
	number, err := v.number("version")
	if err != nil {
		return err
	}
	secret, err := v.vault.SecretVersion(v, v.who, v.secret(), number)
	if err != nil {
		return v.again(err, showSecretHistory)
	}
	return v.showSecretHistory(&secret)
}

// showSecretHistory begins with the page of the address, or with the version that is
// revealed: what somebody wants to see is on the page that he gets.
func (v *visit) showSecretHistory(revealed *api.Secret) error {
	nav, err := v.projectNav("secrets")
	if err != nil {
		return err
	}
	standing, err := v.standing(nav)
	if err != nil {
		return err
	}
	data := secretHistoryPage{
		Base: nav.Here(), Key: v.path("key"), Before: v.cursor(), standing: standing,
		Revealed: revealed != nil,
	}
	if err := v.readVersions(&data); err != nil {
		return err
	}
	for i := range data.Versions {
		if item := &data.Versions[i]; revealed != nil && item.Version == revealed.Version {
			item.Value = revealed.Value
		}
	}
	small := revealed == nil && data.First() // else something of the address or a value is in the page
	return v.show(page{Template: "secret-history", Title: "History of " + data.Key, Compressed: small, Project: nav, Data: data})
}

// cursor is where the list begins: in the address, or what a form of that page sent
// along, so that its answer is the same part of the list.
func (v *visit) cursor() string {
	if v.input != nil {
		return v.input.Get("before")
	}
	return v.query("before")
}

func (v *visit) readVersions(data *secretHistoryPage) error {
	newest, err := v.vault.SecretVersions(v, v.who, v.secret(), "", 1)
	if err != nil {
		return err
	}
	data.Newest = newest.Results[0]
	list, err := v.vault.SecretVersions(v, v.who, v.secret(), v.cursor(), versionsPerPage)
	if err != nil {
		return err
	}
	former := list.Results
	if list.Next != nil {
		data.Next = *list.Next
		further, err := v.vault.SecretVersions(v, v.who, v.secret(), data.Next, 1)
		if err != nil {
			return err
		}
		former = append(former[:len(former):len(former)], further.Results...)
	}
	for i, version := range list.Results {
		item := versionItem{SecretVersion: version, Newest: version.Version == data.Newest.Version}
		if i+1 < len(former) {
			item.What = difference(version, &former[i+1])
		} else {
			item.What = difference(version, nil)
		}
		data.Versions = append(data.Versions, item)
	}
	return nil
}

// difference says what a version did, as far as that can be told without the values. A
// rename leaves the value as it is, and a version that has the key and the comment of
// the one before has another value, or it would not be there.
func difference(version api.SecretVersion, before *api.SecretVersion) string {
	switch {
	case version.Deleted:
		return "Deleted"
	case version.Version == 1:
		return "Created"
	case before == nil:
		return "Changed; the version before is not kept any more"
	case before.Deleted:
		return "Brought back"
	}
	var changed []string
	if version.Key != before.Key {
		changed = append(changed, "Renamed from "+before.Key)
	}
	if version.Comment != before.Comment {
		changed = append(changed, "comment changed")
	}
	switch {
	case len(changed) == 0:
		return "New value"
	case version.Key == before.Key:
		return "Comment changed, and perhaps the value"
	}
	return strings.Join(changed, ", ")
}

// rollBack gives the secret the value of a version again, if nobody has changed it
// since the page was made.
func rollBack(v *visit) error {
	number, err := v.number("version")
	if err != nil {
		return err
	}
	match, err := v.seenVersion()
	if err != nil {
		return v.again(err, showSecretHistory)
	}
	secret, err := v.vault.RollBack(v, v.who, v.secret(), api.RollbackRequest{Version: number}, match)
	if err != nil {
		return v.again(err, showSecretHistory)
	}
	return v.doneInEnvironment(secretBelow(secret.Key)+"history/", "secret-rolled-back")
}

// seenVersion is the newest version that the page showed, which may be a deletion.
func (v *visit) seenVersion() (vault.Match, error) {
	if v.checked("deleted") {
		return vault.Match{Absent: true}, nil
	}
	version, err := v.seen("newest")
	if err != nil {
		return vault.Match{}, err
	}
	came, err := v.seen("came")
	return vault.Match{Version: version, VersionCame: came}, err
}

// deletedPage is the deleted secrets of an environment that can be brought back.
type deletedPage struct {
	standing
	Base    string
	Secrets []api.Secret
}

func showDeleted(v *visit) error {
	nav, err := v.projectNav("secrets")
	if err != nil {
		return err
	}
	standing, err := v.standing(nav)
	if err != nil {
		return err
	}
	list, err := v.vault.DeletedSecrets(v, v.who, v.environment())
	if err != nil {
		return err
	}
	data := deletedPage{Base: nav.Here(), Secrets: list.Results, standing: standing}
	return v.show(page{Template: "deleted-secrets", Title: "Deleted secrets of " + nav.Environment.Name, Compressed: true, Project: nav, Data: data})
}

// bringBack gives a deleted secret its last value again. One that is there is left
// alone.
func bringBack(v *visit) error {
	version, err := v.lastWithValue()
	if err == nil {
		_, err = v.vault.RollBack(v, v.who, v.secret(), api.RollbackRequest{Version: version}, vault.Match{Absent: true})
	}
	if err != nil {
		return v.again(err, showDeleted)
	}
	return v.doneInEnvironment("deleted/", "secret-brought-back")
}

// lastWithValue is the newest version of the secret that is no deletion.
func (v *visit) lastWithValue() (int64, error) {
	list, err := v.vault.SecretVersions(v, v.who, v.secret(), "", 2) // a deletion follows no deletion
	if err != nil {
		return 0, err
	}
	for _, version := range list.Results {
		if !version.Deleted {
			return version.Version, nil
		}
	}
	return 0, fault.New(fault.Gone, "The last value of "+v.path("key")+" is not kept any more.")
}
