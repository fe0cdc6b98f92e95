package web

import (
	"slices"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

// projectRoutes are the list of projects and what is common to all environments of one.
func (s *Site) projectRoutes() []route {
	return slices.Concat([]route{
		{method: get, pattern: "/projects/", action: vault.ActionListProjects, serve: showProjects},
		{method: post, pattern: "/projects/", action: vault.ActionCreateProject, serve: createProject},
	}, memberRoutes(), invitationRoutes(), serviceTokenRoutes(), auditRoutes(), settingsRoutes())
}

// projectsPerPage is how many projects a page lists.
const projectsPerPage = 200

type projectsPage struct {
	Projects []api.Project
	Next     string // cursor
}

func showProjects(v *visit) error {
	list, err := v.vault.Projects(v, v.who, v.query("after"), projectsPerPage)
	if err != nil {
		return err
	}
	data := projectsPage{Projects: list.Results}
	if list.Next != nil {
		data.Next = *list.Next
	}
	return v.show(page{Template: "projects", Title: "Projects", Data: data})
}

func createProject(v *visit) error {
	project, err := v.vault.CreateProject(v, v.who, api.CreateProject{
		Name: v.text("name"), Slug: v.text("slug"), Description: v.text("description"),
	})
	if err != nil {
		return v.again(err, showProjects)
	}
	return v.done("/projects/"+project.Slug+"/", "project-created")
}
