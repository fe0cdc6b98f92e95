package vault

import (
	"context"
	"maps"
	"unicode"

	"github.com/go-json-experiment/json"

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
		if !unicode.IsControl(r) && r != '\uFFFD' { // those beyond ASCII steer terminals, too
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
