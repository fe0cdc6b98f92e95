package web

import (
	"slices"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

const adminAuditPage = "/admin/audit/"

func adminAuditRoutes() []route {
	return []route{{method: get, pattern: adminAuditPage, action: vault.ActionReadAllAudit, serve: showServerAudit}}
}

type serverAudit struct{ Trail auditTrail }

// showServerAudit shows the trail of the whole server.
func showServerAudit(v *visit) error {
	projects, err := v.auditedProjects()
	if err != nil {
		return err
	}
	trail, err := v.auditTrail(auditScope{
		Path: adminAuditPage, Projects: projects, Covers: func(vault.Action) bool { return true },
		Read: func(q vault.AuditQuery) (api.Page[api.AuditEvent], error) { return v.vault.AuditOfServer(v, v.who, q) },
	})
	if err != nil {
		return err
	}
	return v.show(page{Template: "admin-audit", Title: "Audit", Section: "audit", Data: serverAudit{trail}})
}

// auditedProjects are the projects to choose from: those that there are, as far as a
// list of them is of use, and the chosen one, which may be gone.
func (v *visit) auditedProjects() ([]auditProject, error) {
	list, err := v.vault.AllProjects(v, v.who, "", api.MaxPageSize)
	if err != nil {
		return nil, err
	}
	projects := make([]auditProject, 0, len(list.Results))
	for _, p := range list.Results {
		projects = append(projects, auditProject{p.ID, p.Name})
	}
	chosen := v.query("project")
	if chosen != "" && !slices.ContainsFunc(projects, func(p auditProject) bool { return p.ID == chosen }) {
		projects = append(projects, auditProject{chosen, chosen})
	}
	return projects, nil
}
