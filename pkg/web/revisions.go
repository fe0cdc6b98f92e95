package web

import (
	"slices"
	"strconv"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// transferRoutes are the pages by which secrets come back, in, out and across.
func (s *Site) transferRoutes() []route {
	return slices.Concat(s.historyRoutes(), s.importRoutes(), s.exportRoutes(), s.matrixRoutes(), s.compareRoutes())
}

func (s *Site) historyRoutes() []route {
	const (
		all  = tablePath + "history/"
		one  = all + "{revision}/"
		gone = tablePath + "deleted/"
		key  = secretPath + "history/"
	)
	return []route{
		{method: get, pattern: all, action: vault.ActionListSecrets, serve: showRevisions},
		{method: get, pattern: one, action: vault.ActionListSecrets, serve: showRevision},
		{method: post, pattern: one + "reveal/", action: vault.ActionReadSecret, serve: revealRevision},
		{method: post, pattern: one + "preview/", action: vault.ActionRestoreEnvironment, serve: previewRestore},
		{method: post, pattern: one + "restore/", action: vault.ActionRestoreEnvironment, serve: restoreRevision},
		{method: get, pattern: gone, action: vault.ActionListSecrets, serve: showDeleted},
		{method: post, pattern: gone + "{key}/restore/", action: vault.ActionWriteSecret, serve: bringBack},
		{method: get, pattern: key, action: vault.ActionListSecrets, serve: showSecretHistory},
		{method: post, pattern: key + "{version}/reveal/", action: vault.ActionReadSecret, serve: revealVersion},
		{method: post, pattern: key + "{version}/restore/", action: vault.ActionWriteSecret, serve: rollBack},
	}
}

// number is a part of the address that is one; there is no page if it is not.
func (v *visit) number(name string) (int64, error) {
	n, err := strconv.ParseInt(v.path(name), 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != v.path(name) {
		return 0, errNoPage
	}
	return n, nil
}

// seen is a revision or a version that a page showed, and that its form sends back so
// that nothing is done to what nobody has seen.
func (v *visit) seen(name string) (*int64, error) {
	n, err := strconv.ParseInt(v.input.Get(name), 10, 64)
	if err != nil {
		return nil, fault.New(fault.Invalid, "The form is not whole. Open its page again.")
	}
	return &n, nil
}

// changedSince words for a page with a preview that an environment is not any more what
// the preview was made of.
func changedSince(err error, environment string) error {
	if fault.KindOf(err) != fault.PreconditionFailed {
		return err
	}
	return fault.Wrap(fault.PreconditionFailed, err, environment+" has changed since the preview. This is what would change now.")
}

const (
	revisionsPerPage = 50
	// keysPerChange is how many keys of one kind of change are named in the list of
	// revisions; the page of the revision names all.
	keysPerChange = 8
)

type revisionsPage struct {
	Revisions []revisionItem
	Next      string // cursor
	First     bool   // these are the newest
}

type revisionItem struct {
	api.EnvironmentRevision
	Changes []keyChange
}

// keyChange is the keys of a revision that were changed in one way.
type keyChange struct {
	Kind string // "created", "updated", "renamed" or "deleted"
	Keys []string
	More int // that are not named
}

// Tone is how such a change looks.
func (c keyChange) Tone() string { return changeTone(c.Kind) }

func changeTone(kind string) string {
	switch kind {
	case "created":
		return "good"
	case "updated":
		return "accent"
	case "deleted":
		return "bad"
	}
	return ""
}

func showRevisions(v *visit) error {
	nav, err := v.projectNav("secrets")
	if err != nil {
		return err
	}
	list, err := v.vault.Revisions(v, v.who, v.environment(), v.query("before"), revisionsPerPage)
	if err != nil {
		return err
	}
	data := revisionsPage{First: v.query("before") == ""}
	for _, r := range list.Results {
		data.Revisions = append(data.Revisions, revisionItem{r, changesOf(r, keysPerChange)})
	}
	if list.Next != nil {
		data.Next = *list.Next
	}
	return v.show(page{Template: "revisions", Title: "History of " + nav.Environment.Name, Compressed: true, Project: nav, Data: data})
}

// changesOf groups what a revision changed, with at most so many keys each.
func changesOf(r api.EnvironmentRevision, most int) []keyChange {
	var changes []keyChange
	add := func(kind string, keys []string) {
		if len(keys) > 0 {
			shown := min(len(keys), most)
			changes = append(changes, keyChange{kind, keys[:shown], len(keys) - shown})
		}
	}
	renamed := make([]string, len(r.Renamed))
	for i, n := range r.Renamed {
		renamed[i] = n.From + " → " + n.To
	}
	add("created", r.Created)
	add("updated", r.Updated)
	add("renamed", renamed)
	add("deleted", r.Deleted)
	return changes
}
