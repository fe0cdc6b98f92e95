package web

import (
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

func auditRoutes() []route {
	return []route{
		{method: get, pattern: "/projects/{project}/audit/", action: vault.ActionReadAudit, serve: showAudit},
	}
}

func showAudit(v *visit) error {
	nav, err := v.projectNav("audit")
	if err != nil {
		return err
	}
	scope := auditScope{
		Path: nav.Base() + "audit/", Covers: inProjectTrail,
		Read: func(q vault.AuditQuery) (api.Page[api.AuditEvent], error) {
			return v.vault.Audit(v, v.who, nav.Project.ID, q)
		},
	}
	for i := range nav.Environments {
		scope.Environments = append(scope.Environments, nav.Environments[i].Slug)
	}
	if chosen := v.query("environment"); chosen != "" && nav.named(chosen) == nil {
		scope.Environments = append(scope.Environments, chosen) // one that is gone
	}
	if nav.Project.Role.AtLeast(api.RoleAdmin) {
		if scope.Actors, err = v.projectActors(nav.Project.ID); err != nil {
			return err
		}
	}
	trail, err := v.auditTrail(scope)
	if err != nil {
		return err
	}
	return v.show(page{Template: "audit", Title: "Audit", Project: nav, Data: trail})
}

// projectActors are the people and the service tokens of a project.
func (v *visit) projectActors(projectID string) ([]auditActor, error) {
	var actors []auditActor
	people, err := v.vault.Members(v, v.who, projectID)
	if err != nil {
		return nil, err
	}
	for i := range people.Results {
		actors = append(actors, auditActor{people.Results[i].ID, people.Results[i].Email})
	}
	tokens, err := v.vault.ServiceTokens(v, v.who, projectID)
	for i := range tokens.Results {
		actors = append(actors, auditActor{tokens.Results[i].ID, "token " + tokens.Results[i].Name})
	}
	return actors, err
}

// inProjectTrail tells whether an action can stand in the trail of a project.
func inProjectTrail(a vault.Action) bool {
	kind, _, _ := strings.Cut(string(a), ".")
	switch kind {
	case "secret", "environment", "member", "invitation", "token":
		return true
	case "project":
		return a != vault.ActionListProjects && a != vault.ActionListAllProjects
	}
	return a == vault.ActionReadAudit
}
