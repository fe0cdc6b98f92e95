package vault

import (
	"context"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// AuditQuery narrows a look at the audit trail; zero fields do not narrow.
type AuditQuery struct {
	Actor       string // id of a user or token
	Action      string
	Outcome     string // "success" or "refused"
	Project     string // id or slug; not where the project is given anyway
	Environment string // slug
	Target      string // name of what was acted on
	From, To    *time.Time
	Cursor      string
	Limit       int
}

// Audit reads the audit trail of a project, newest first.
func (v *Vault) Audit(ctx context.Context, p Principal, projectRef string, query AuditQuery) (api.Page[api.AuditEvent], error) {
	project, err := v.project(ctx, v.store.Queries, p, ActionReadAudit, projectRef)
	if err != nil {
		return api.Page[api.AuditEvent]{}, err
	}
	filter, err := query.filter()
	if err != nil {
		return api.Page[api.AuditEvent]{}, err
	}
	filter.ProjectID = project.ID
	return v.auditPage(ctx, filter, query, apiAuditEvent)
}

// AuditOfServer reads the whole audit trail, newest first. Only administrators of
// the server may.
func (v *Vault) AuditOfServer(ctx context.Context, p Principal, query AuditQuery) (api.Page[api.AuditEvent], error) {
	if _, err := admit(p, ActionReadAllAudit); err != nil {
		return api.Page[api.AuditEvent]{}, err
	}
	filter, err := query.filter()
	if err != nil {
		return api.Page[api.AuditEvent]{}, err
	}
	if filter.ProjectID, err = v.auditedProject(ctx, query.Project); err != nil {
		return api.Page[api.AuditEvent]{}, err
	}
	return v.auditPage(ctx, filter, query, auditEventOfServer)
}

// ExportAudit calls do with every event that the query does not leave out, oldest
// first, as they are at one moment. It is audited, as the last of them. Only a
// command on the server itself may.
func (v *Vault) ExportAudit(ctx context.Context, p Principal, query AuditQuery, do func(api.AuditEvent) error) error {
	if _, err := admit(p, ActionExportAudit); err != nil {
		return err
	}
	filter, err := query.filter()
	if err != nil {
		return err
	}
	if filter.ProjectID, err = v.auditedProject(ctx, query.Project); err != nil {
		return err
	}
	if err := v.recordRead(ctx, p, event{action: ActionExportAudit, projectID: filter.ProjectID, detail: query.detail()}); err != nil {
		return err
	}
	return v.store.Snapshot(ctx, func(ctx context.Context, q store.Queries) error {
		if err := q.BeginDump(ctx); err != nil {
			return err
		}
		return q.EachAuditEvent(ctx, filter, func(row *store.AuditEvent) error {
			e := auditEventOfServer(row)
			e.MAC = hex.EncodeToString(row.MAC)
			return do(e)
		})
	})
}

func (v *Vault) auditPage(ctx context.Context, filter store.AuditFilter, query AuditQuery, show func(*store.AuditEvent) api.AuditEvent) (page api.Page[api.AuditEvent], err error) {
	before, limit, err := query.bounds()
	if err != nil {
		return page, err
	}
	filter.Before, filter.Limit = before, limit+1
	rows, err := v.store.AuditEvents(ctx, filter)
	if err != nil {
		return page, err
	}
	if len(rows) > limit {
		rows = rows[:limit]
		cursor := strconv.FormatInt(rows[limit-1].ID, 10)
		page.Next = &cursor
	}
	page.Results = make([]api.AuditEvent, len(rows))
	for i := range rows {
		page.Results[i] = show(&rows[i])
	}
	return page, nil
}

// auditedProject is the id of a project that someone may narrow a look at the
// whole trail to. One that is gone can be named by its id.
func (v *Vault) auditedProject(ctx context.Context, ref string) (string, error) {
	if ref == "" || store.IsID(ref) {
		return ref, nil
	}
	if !validRef(ref) {
		return "", fault.InvalidField("query.project", "must be the id or slug of a project")
	}
	project, err := v.store.AnyProject(ctx, ref)
	if err != nil {
		return "", err
	}
	return project.ID, nil
}

// filter checks everything but the project and the bounds of a page.
func (q AuditQuery) filter() (store.AuditFilter, error) {
	f := store.AuditFilter{
		ActorID: q.Actor, Action: q.Action, Outcome: q.Outcome, EnvironmentName: q.Environment, Target: q.Target,
		From: store.OptionalMicros(q.From), To: store.OptionalMicros(q.To),
	}
	switch {
	case q.Actor != "" && !store.IsID(q.Actor):
		return f, fault.InvalidField("query.actor", "must be the id of a user or token")
	case strings.Trim(q.Action, "abcdefghijklmnopqrstuvwxyz._") != "":
		return f, fault.InvalidField("query.action", "must be the name of an action, such as secret.read")
	case !slices.Contains([]string{"", outcomeSuccess, outcomeRefused}, q.Outcome):
		return f, fault.InvalidField("query.outcome", "must be success or refused")
	case q.Environment != "" && api.CheckSlug(q.Environment) != "":
		return f, fault.InvalidField("query.environment", "must be the slug of an environment")
	case clip(q.Target) != q.Target:
		return f, fault.InvalidField("query.target", "must be the name of what was acted on, such as DATABASE_URL")
	}
	return f, nil
}

// detail is what an export was narrowed by.
func (q AuditQuery) detail() map[string]string {
	detail := map[string]string{}
	for name, text := range map[string]string{
		"actor": q.Actor, "action": q.Action, "outcome": q.Outcome, "environment": q.Environment, "target": q.Target,
		"from": momentText(q.From), "to": momentText(q.To),
	} {
		if text != "" {
			detail[name] = text
		}
	}
	return detail
}

func momentText(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func (q AuditQuery) bounds() (before int64, limit int, err error) {
	if q.Cursor != "" {
		if before, err = strconv.ParseInt(q.Cursor, 10, 64); err != nil || before < 1 {
			return 0, 0, badCursor()
		}
	}
	limit, err = pageLimit(q.Limit)
	return before, limit, err
}

func badCursor() error {
	return fault.InvalidField("query.cursor", "must be the \"next\" of the page before")
}

// pageLimit checks the length of a page; 0 is the default.
func pageLimit(limit int) (int, error) {
	if limit == 0 {
		return api.DefaultPageSize, nil
	}
	if limit < 1 || limit > api.MaxPageSize {
		return 0, fault.InvalidField("query.limit", "must be from 1 to "+strconv.Itoa(api.MaxPageSize))
	}
	return limit, nil
}

func apiAuditEvent(row *store.AuditEvent) api.AuditEvent {
	e := api.AuditEvent{
		ID: strconv.FormatInt(row.ID, 10), At: row.At.Time(), Actor: apiActor(row.Actor),
		Action: row.Action, Outcome: row.Outcome, Environment: row.EnvironmentName, Target: row.Target,
		IP: row.IP, UserAgent: row.UserAgent, RequestID: row.RequestID, Credential: row.Credential,
	}
	if row.Detail != "" {
		_ = json.Unmarshal([]byte(row.Detail), &e.Detail) // written by auditRow
	}
	return e
}

// auditEventOfServer says also which project an event is of, and is for those who
// see all of them.
func auditEventOfServer(row *store.AuditEvent) api.AuditEvent {
	e := apiAuditEvent(row)
	e.Project = row.ProjectID
	return e
}
