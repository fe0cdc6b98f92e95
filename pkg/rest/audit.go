package rest

import (
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

func auditRoutes() []Route {
	return []Route{
		define(get, project+"audit/", vault.ActionReadAudit, ok, "The audit trail of a project, newest first.", readAudit),
		define(get, "/admin/audit/", vault.ActionReadAllAudit, ok, "The audit trail of the whole server, newest first.", readAllAudit),
	}
}

// auditFilter are the parameters that narrow a look at an audit trail.
type auditFilter struct {
	Actor       string     `query:"actor" doc:"Id of a user or token."`
	Action      string     `query:"action" doc:"Such as secret.read."`
	Outcome     string     `query:"outcome" doc:"success or refused."`
	Environment string     `query:"environment" doc:"Slug of an environment, as it was at the time."`
	Target      string     `query:"target" doc:"Name of what was acted on, such as DATABASE_URL."`
	From        *time.Time `query:"from" doc:"Not before this time."`
	To          *time.Time `query:"to" doc:"Before this time."`
}

func (f auditFilter) query(p page) vault.AuditQuery {
	return vault.AuditQuery{
		Actor: f.Actor, Action: f.Action, Outcome: f.Outcome, Environment: f.Environment, Target: f.Target,
		From: f.From, To: f.To, Cursor: p.Cursor, Limit: p.Limit,
	}
}

func readAudit(c *call, in struct {
	projectRef
	page
	auditFilter
},
) (api.Page[api.AuditEvent], error) {
	return c.api.vault.Audit(c, c.who, in.Project, in.query(in.page))
}

func readAllAudit(c *call, in struct {
	page
	auditFilter
	Project string `query:"project" doc:"Id or slug of a project; of one that was deleted, its id."`
},
) (api.Page[api.AuditEvent], error) {
	query := in.query(in.page)
	query.Project = in.Project
	return c.api.vault.AuditOfServer(c, c.who, query)
}
