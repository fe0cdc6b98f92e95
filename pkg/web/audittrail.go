package web

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// auditScope is which trail a page shows, and what it lets people choose from.
type auditScope struct {
	Path   string // of the page
	Actors []auditActor
	// Environments are the slugs to choose from; nil: any can be typed.
	Environments []string
	// Projects are those to choose from, in the trail of the server; nil elsewhere.
	Projects []auditProject
	// Covers tells whether an action can stand in the trail.
	Covers func(vault.Action) bool
	Read   func(vault.AuditQuery) (api.Page[api.AuditEvent], error)
}

// auditActor is somebody whose events can be chosen.
type auditActor struct{ ID, Name string }

// auditTrail is what the parts audit-filter and audit-rows show.
type auditTrail struct {
	auditScope
	Filter  auditFilter
	Actions []auditActionGroup
	Rows    []auditRow
	Older   string // address of the next page; empty: this is the last
	Newest  string // address of the first page; empty: this is it
}

// auditFilter is what a page is narrowed to, as it stands in the address.
type auditFilter struct{ Actor, Action, Outcome, Project, Environment, Target, From, To string }

// auditActionGroup are the actions on one kind of thing.
type auditActionGroup struct {
	Label   string
	Actions []auditAction
}

type auditAction struct{ Name, Label string }

// auditPageSize is how many events a page shows. With what it says of each, it stays
// light.
const auditPageSize = 30

// auditTrail reads the page of a trail that the address asks for.
func (v *visit) auditTrail(scope auditScope) (auditTrail, error) {
	trail := auditTrail{auditScope: scope, Filter: v.auditFilter(), Actions: auditActions(scope.Covers)}
	query, err := trail.Filter.query()
	if err != nil {
		return trail, err
	}
	query.Cursor, query.Limit = v.query("cursor"), auditPageSize
	events, err := scope.Read(query)
	if err != nil {
		return trail, err
	}
	trail.Rows = auditRows(events.Results, scope.Projects)
	trail.Actors = withActors(scope.Actors, events.Results, trail.Filter.Actor)
	if events.Next != nil {
		trail.Older = trail.address(*events.Next)
	}
	if query.Cursor != "" {
		trail.Newest = trail.address("")
	}
	return trail, nil
}

func (v *visit) auditFilter() auditFilter {
	get := func(name string) string { return strings.TrimSpace(v.query(name)) }
	return auditFilter{
		Actor: get("actor"), Action: get("action"), Outcome: get("outcome"), Project: get("project"),
		Environment: get("environment"), Target: get("target"), From: get("from"), To: get("to"),
	}
}

// Any reports whether the filter leaves anything out.
func (f auditFilter) Any() bool { return f != auditFilter{} }

// Without is the address of the page without the filter.
func (t auditTrail) Without() string { return t.Path }

func (t auditTrail) address(cursor string) string {
	f, values := t.Filter, url.Values{}
	for name, value := range map[string]string{
		"actor": f.Actor, "action": f.Action, "outcome": f.Outcome, "project": f.Project,
		"environment": f.Environment, "target": f.Target, "from": f.From, "to": f.To, "cursor": cursor,
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if len(values) == 0 {
		return t.Path
	}
	return t.Path + "?" + values.Encode()
}

// query is the filter as the vault takes it. Its days are days in UTC, the last one
// included.
func (f auditFilter) query() (vault.AuditQuery, error) {
	q := vault.AuditQuery{
		Actor: f.Actor, Action: f.Action, Outcome: f.Outcome, Project: f.Project, Environment: f.Environment, Target: f.Target,
	}
	var err error
	if q.From, err = auditDay("from", f.From, 0); err != nil {
		return q, err
	}
	q.To, err = auditDay("to", f.To, 1)
	return q, err
}

// auditDay is the beginning of a day, or of one some days later; nil: none is named.
func auditDay(name, text string, later int) (*time.Time, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // no bound
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return nil, fault.InvalidField("query."+name, "must be a day such as 2026-01-31")
	}
	day = day.AddDate(0, 0, later)
	return &day, nil
}

// withActors adds the actors of events to those to choose from, and the chosen one,
// who may be gone.
func withActors(known []auditActor, events []api.AuditEvent, chosen string) []auditActor {
	all := slices.Clone(known)
	add := func(id, name string) {
		if id != "" && !slices.ContainsFunc(all, func(a auditActor) bool { return a.ID == id }) {
			all = append(all, auditActor{id, name})
		}
	}
	for i := range events {
		add(events[i].Actor.ID, actorName(events[i].Actor))
	}
	add(chosen, chosen)
	slices.SortStableFunc(all, func(a, b auditActor) int {
		return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return all
}

// auditGroups are the kinds of things that actions are done to, by the beginnings of
// their names, in the order of the list.
func auditGroups() []auditAction {
	return []auditAction{
		{"secret", "Secrets"},
		{"environment", "Environments"},
		{"project", "Projects"},
		{"member", "People"},
		{"invitation", "Invitations"},
		{"token", "Service tokens"},
		{"auth", "Signing in and accounts"},
		{"user", "Accounts of others"},
		{"settings", "Settings"},
		{"mail", "Mail"},
		{"audit", "Audit trail"},
		{"key", "Encryption key"},
		{"admin", "Commands on the server"},
		{"instance", "Backups"},
		{"onboarding", "First run"},
		{"server", "Server"},
	}
}

// auditActions lists the actions that a trail covers, by groups.
func auditActions(covers func(vault.Action) bool) []auditActionGroup {
	var groups []auditActionGroup
	for _, g := range auditGroups() {
		group := auditActionGroup{Label: g.Label}
		for action, words := range auditWords {
			if strings.HasPrefix(string(action), g.Name+".") && covers(action) {
				group.Actions = append(group.Actions, auditAction{string(action), words.label()})
			}
		}
		slices.SortFunc(group.Actions, func(a, b auditAction) int { return cmp.Compare(a.Label, b.Label) })
		if len(group.Actions) > 0 {
			groups = append(groups, group)
		}
	}
	return groups
}
