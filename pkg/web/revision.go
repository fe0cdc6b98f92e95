package web

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// revisionPage is a former state of an environment beside the one before it and the
// present one.
type revisionPage struct {
	standing
	Base     string // address of the environment's pages
	Revision int64
	Present  int64 // the revision of today
	// Change is who made this revision and when; nil for the empty state of the
	// beginning.
	Change *api.EnvironmentRevision
	Before bool // the state before is kept
	// Rows are the secrets that this revision changed, and then those that are not
	// what they were; Unchanged are all others.
	Rows      []stateRow
	Unchanged []stateRow
	Revealed  bool
}

// Previous is the revision before.
func (p revisionPage) Previous() int64 { return p.Revision - 1 }

// Following is the revision after.
func (p revisionPage) Following() int64 { return p.Revision + 1 }

// stateRow is a secret in the three states.
type stateRow struct {
	Key               string
	Kind              string // what the revision did with it, or ""
	From              string // its former key, if it was renamed
	Before, Here, Now stateCell
}

// Tone is how the change of the row looks.
func (r stateRow) Tone() string { return changeTone(r.Kind) }

// stateCell is a secret in one state. A version is told apart by the revision at which
// it came: a key may have had several secrets one after the other.
type stateCell struct {
	Version, Revision int64 // 0: there was none
	Value             *api.Value
}

// Is reports whether two cells are the same version of the same secret.
func (c stateCell) Is(other stateCell) bool {
	return c.Version == other.Version && c.Revision == other.Revision
}

func showRevision(v *visit) error { return v.showRevision(false) }

// revealRevision shows the page with the values of all three states. Each is recorded
// as a reading of its own.
func revealRevision(v *visit) error { return v.showRevision(true) }

func (v *visit) showRevision(values bool) error {
	revision, err := v.number("revision")
	if err != nil {
		return err
	}
	nav, err := v.projectNav("secrets")
	if err != nil {
		return err
	}
	data, err := v.revisionPage(nav, revision, values)
	if err != nil {
		return err
	}
	title := fmt.Sprintf("Revision %d of %s", revision, nav.Environment.Name)
	return v.show(page{Template: "revision", Title: title, Compressed: !values, Project: nav, Data: data})
}

func (v *visit) revisionPage(nav *projectNav, revision int64, values bool) (revisionPage, error) {
	ref := v.environment()
	data := revisionPage{Base: nav.Here(), Revision: revision, Revealed: values}
	here, err := v.vault.SecretsAt(v, v.who, ref, vault.Moment{Revision: &revision}, values)
	if err != nil {
		return data, err
	}
	now, err := v.secretsNow(ref, values)
	if err != nil {
		return data, err
	}
	data.Present = now.Revision
	before, err := v.secretsBefore(&data, ref, values)
	if err != nil {
		return data, err
	}
	if data.Change, err = v.changeAt(ref, revision); err != nil {
		return data, err
	}
	data.fill(before, here.Results, now.Results)
	data.standing, err = v.standing(nav)
	return data, err
}

func (v *visit) secretsNow(ref vault.EnvironmentRef, values bool) (api.SecretList, error) {
	if values {
		return v.vault.SecretsWithValues(v, v.who, ref)
	}
	return v.vault.Secrets(v, v.who, ref)
}

// secretsBefore is the state before the revision, unless that is not kept any more.
func (v *visit) secretsBefore(data *revisionPage, ref vault.EnvironmentRef, values bool) ([]api.Secret, error) {
	if data.Revision == 0 {
		return nil, nil
	}
	former := data.Revision - 1
	list, err := v.vault.SecretsAt(v, v.who, ref, vault.Moment{Revision: &former}, values)
	if errors.Is(err, fault.Gone) {
		return nil, nil
	}
	data.Before = err == nil
	return list.Results, err
}

// changeAt finds what one revision changed: it is the first of the list that begins
// before the next one.
func (v *visit) changeAt(ref vault.EnvironmentRef, revision int64) (*api.EnvironmentRevision, error) {
	list, err := v.vault.Revisions(v, v.who, ref, strconv.FormatInt(revision+1, 10), 1)
	if err != nil || len(list.Results) == 0 || list.Results[0].Revision != revision {
		return nil, err
	}
	return &list.Results[0], nil
}

// fill puts the three states together by key.
func (p *revisionPage) fill(before, here, now []api.Secret) {
	rows := map[string]*stateRow{}
	place := func(secrets []api.Secret, cell func(*stateRow) *stateCell) {
		for i := range secrets {
			s := &secrets[i]
			row := rows[s.Key]
			if row == nil {
				row = &stateRow{Key: s.Key}
				rows[s.Key] = row
			}
			*cell(row) = stateCell{Version: s.Version, Revision: s.Revision, Value: s.Value}
		}
	}
	place(here, func(r *stateRow) *stateCell { return &r.Here })
	place(now, func(r *stateRow) *stateCell { return &r.Now })
	if p.Change != nil {
		p.markChanges(rows)
	}
	if p.Before {
		place(before, func(r *stateRow) *stateCell { return &r.Before })
	}
	for _, row := range rows {
		if row.Kind == "" && row.Here.Is(row.Now) {
			p.Unchanged = append(p.Unchanged, *row)
		} else {
			p.Rows = append(p.Rows, *row)
		}
	}
	byKey := func(a, b stateRow) int { return cmp.Compare(a.Key, b.Key) }
	slices.SortFunc(p.Unchanged, byKey)
	slices.SortFunc(p.Rows, func(a, b stateRow) int {
		return cmp.Or(cmp.Compare(boolRank(a.Kind == ""), boolRank(b.Kind == "")), byKey(a, b))
	})
}

func boolRank(later bool) int {
	if later {
		return 1
	}
	return 0
}

// markChanges notes at the rows what the revision did with their secrets.
func (p *revisionPage) markChanges(rows map[string]*stateRow) {
	mark := func(key, kind, from string) {
		if rows[key] == nil {
			rows[key] = &stateRow{Key: key}
		}
		rows[key].Kind, rows[key].From = kind, from
	}
	for _, key := range p.Change.Deleted {
		mark(key, "deleted", "")
	}
	for _, n := range p.Change.Renamed {
		mark(n.To, "renamed", n.From)
	}
	for _, key := range p.Change.Updated {
		mark(key, "updated", "")
	}
	for _, key := range p.Change.Created {
		mark(key, "created", "")
	}
}
