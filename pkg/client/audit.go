package client

import (
	"context"
	"iter"
	"net/url"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
)

// AuditFilter narrows an audit trail; what is zero does not narrow.
type AuditFilter struct {
	Actor       string // id of a user or token
	Action      string // "secret.read", …
	Outcome     string // "success" or "refused"
	Project     string // id or slug; only of AuditOfServer
	Environment string // slug
	Target      string // name of what was acted on
	From        time.Time
	To          time.Time
}

// Audit lists what happened in a project, the newest first.
func (c *Client) Audit(ctx context.Context, project string, f AuditFilter) iter.Seq2[api.AuditEvent, error] {
	f.Project = ""
	return pages[api.AuditEvent](ctx, c, f.query(), "projects", project, "audit")
}

// AuditOfServer lists what happened on the whole server, the newest first. Only its
// administrators may.
func (c *Client) AuditOfServer(ctx context.Context, f AuditFilter) iter.Seq2[api.AuditEvent, error] {
	return pages[api.AuditEvent](ctx, c, f.query(), "admin", "audit")
}

func (f AuditFilter) query() url.Values {
	query := largestPages()
	for name, text := range map[string]string{
		"actor": f.Actor, "action": f.Action, "outcome": f.Outcome, "project": f.Project, "environment": f.Environment,
		"target": f.Target, "from": timeText(f.From), "to": timeText(f.To),
	} {
		if text != "" {
			query.Set(name, text)
		}
	}
	return query
}
