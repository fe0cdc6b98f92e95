package web

import (
	"net/url"
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
	Projects []projectCard
	Next     string // address of the next page
	Filter   bool   // there are so many that people look for one
}

// projectCard is a project in the list, with what one sees of its contents.
type projectCard struct {
	api.Project
	Environments []api.Environment
	Secrets      int
}

// filterFrom is the number of projects from which on the list can be filtered.
const filterFrom = 6

func showProjects(v *visit) error {
	list, err := v.vault.Projects(v, v.who, v.query("after"), projectsPerPage)
	if err != nil {
		return err
	}
	environments, err := v.vault.EnvironmentsByProject(v, v.who, list.Results)
	if err != nil {
		return err
	}
	data := projectsPage{Filter: len(list.Results) >= filterFrom}
	for _, p := range list.Results {
		card := projectCard{Project: p, Environments: environments[p.ID]}
		for i := range card.Environments {
			card.Secrets += card.Environments[i].SecretCount
		}
		data.Projects = append(data.Projects, card)
	}
	if list.Next != nil {
		data.Next = "/projects/?after=" + url.QueryEscape(*list.Next)
	}
	return v.show(page{Template: "projects", Title: "Projects", Data: data})
}

func createProject(v *visit) error {
	project, err := v.vault.CreateProject(v, v.who, api.CreateProject{
		Name: v.text("name"), Slug: v.text("slug"), Description: v.lines("description"),
	})
	if err != nil {
		return v.again(err, showProjects)
	}
	return v.done("/projects/"+project.Slug+"/", "project-created")
}
