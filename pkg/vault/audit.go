package vault

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// Outcomes of audited actions.
const (
	outcomeSuccess = "success"
	outcomeRefused = "refused"
)

// event is what happened, without who and when.
type event struct {
	action      Action
	outcome     string // empty: success
	projectID   string
	environment string // slug
	target      string // name of what was acted on; never a value
	detail      map[string]string
}

const maxAuditText = 300

func (v *Vault) auditRow(p Principal, e event) store.AuditEvent { return auditRowAt(v.micros(), p, e) }

func auditRowAt(at store.Micros, p Principal, e event) store.AuditEvent {
	if e.outcome == "" {
		e.outcome = outcomeSuccess
	}
	detail := ""
	if len(e.detail) > 0 {
		text, _ := json.Marshal(e.detail, json.Deterministic(true)) // a map of strings always marshals
		detail = string(text)
	}
	return store.AuditEvent{
		At: at, Actor: storedActor(p.Actor()), Action: string(e.action), Outcome: e.outcome,
		ProjectID: e.projectID, EnvironmentName: e.environment, Target: e.target, Detail: detail,
		IP: addressText(p.Request.IP), UserAgent: clip(p.Request.UserAgent), RequestID: p.Request.ID,
		Credential: p.credentialText(),
	}
}

// credentialText names what p came with, so that what a stolen token or session
// did can be told from the rest.
func (p Principal) credentialText() string {
	switch {
	case p.token != nil:
		return "token:" + p.token.id
	case p.session != nil:
		return "session:" + p.session.ID
	}
	return ""
}

// with is a detail with one more entry.
func with(detail map[string]string, name, value string) map[string]string {
	more := maps.Clone(detail)
	if more == nil {
		more = make(map[string]string, 1)
	}
	more[name] = value
	return more
}

// clip bounds what a client says of itself, and keeps what no database takes
// out of it.
func clip(text string) string {
	if len(text) <= maxAuditText && plain(text) {
		return text
	}
	clean := make([]rune, 0, min(len(text), maxAuditText))
	for _, r := range text {
		if len(clean) == maxAuditText {
			break
		}
		if r >= ' ' && r != 0x7f && r != '\uFFFD' {
			clean = append(clean, r)
		}
	}
	return string(clean)
}

// plain reports whether a text is of printable ASCII characters, as nearly every
// one is.
func plain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// record appends events to the transaction of the change that they tell of; they
// are written just before it commits, and without them it does not.
func (v *Vault) record(ctx context.Context, tx store.Tx, p Principal, events ...event) error {
	rows := make([]store.AuditEvent, len(events))
	for i, e := range events {
		rows[i] = v.auditRow(p, e)
	}
	return tx.InsertAuditEvents(ctx, rows)
}

// recordRead makes the event of a read durable; only then may the value be
// answered.
func (v *Vault) recordRead(ctx context.Context, p Principal, e event) error {
	return v.recorder.Record(ctx, v.auditRow(p, e))
}

// AuditQuery narrows a look at a project's audit trail; zero fields do not
// narrow.
type AuditQuery struct {
	Actor    string // id of a user or token
	Action   string
	From, To *time.Time
	Cursor   string
	Limit    int
}

// Audit reads the audit trail of a project, newest first.
func (v *Vault) Audit(ctx context.Context, p Principal, projectRef string, query AuditQuery) (api.Page[api.AuditEvent], error) {
	var page api.Page[api.AuditEvent]
	project, err := v.project(ctx, v.store.Queries, p, ActionReadAudit, projectRef)
	if err != nil {
		return page, err
	}
	before, limit, err := query.bounds()
	if err != nil {
		return page, err
	}
	rows, err := v.store.AuditEvents(ctx, store.AuditFilter{
		ProjectID: project.ID, ActorID: query.Actor, Action: query.Action,
		From: store.OptionalMicros(query.From), To: store.OptionalMicros(query.To),
		Before: before, Limit: limit + 1,
	})
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
		page.Results[i] = apiAuditEvent(&rows[i])
	}
	return page, nil
}

func (q AuditQuery) bounds() (before int64, limit int, err error) {
	if q.Actor != "" && !store.IsID(q.Actor) {
		return 0, 0, fault.InvalidField("query.actor", "must be the id of a user or token")
	}
	if strings.Trim(q.Action, "abcdefghijklmnopqrstuvwxyz._") != "" {
		return 0, 0, fault.InvalidField("query.action", "must be the name of an action, such as secret.read")
	}
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
