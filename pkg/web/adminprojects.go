package web

import (
	"net/url"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

const allProjectsPage = "/admin/projects/"

func adminProjectRoutes() []route {
	return []route{
		{method: get, pattern: allProjectsPage, action: vault.ActionListAllProjects, serve: showAllProjects},
		{method: get, pattern: allProjectsPage + "{project}/join/", action: vault.ActionJoinProject, serve: showJoinProject},
		{method: post, pattern: allProjectsPage + "{project}/join/", action: vault.ActionJoinProject, serve: joinProject},
	}
}

const allProjectsPerPage = 50

type allProjectsData struct {
	Projects []adminProject
	First    string // the address of the first page; "" on that page
	Next     string
}

type adminProject struct {
	api.AdminProject
	Role api.Role // of who looks; "": he is no member
}

func showAllProjects(v *visit) error {
	list, err := v.vault.AllProjects(v, v.who, v.query("after"), allProjectsPerPage)
	if err != nil {
		return err
	}
	roles, err := v.ownRoles()
	if err != nil {
		return err
	}
	data := allProjectsData{}
	for _, p := range list.Results {
		data.Projects = append(data.Projects, adminProject{p, roles[p.ID]})
	}
	if v.query("after") != "" {
		data.First = allProjectsPage
	}
	if list.Next != nil {
		data.Next = allProjectsPage + "?after=" + url.QueryEscape(*list.Next)
	}
	return v.show(page{Template: "admin-projects", Title: "All projects", Section: "projects", Data: data})
}

// ownRoles are the roles of the administrator who looks, by the projects' ids.
func (v *visit) ownRoles() (map[string]api.Role, error) {
	self, err := v.vault.User(v, v.who, v.who.Actor().ID)
	if err != nil {
		return nil, err
	}
	roles := map[string]api.Role{}
	for _, m := range self.Memberships {
		roles[m.Project] = m.Role
	}
	return roles, nil
}

type joinData struct {
	Slug  string
	Roles []api.Role
}

// showJoinProject asks which role to take. A project that does not exist is found out
// when the form is sent: administrators see the list of all.
func showJoinProject(v *visit) error {
	return v.show(page{Template: "admin-join", Title: "Join a project", Section: "projects", Data: joinData{
		Slug: v.path("project"), Roles: api.Roles(),
	}})
}

func joinProject(v *visit) error {
	project, err := v.vault.JoinProject(v, v.who, v.path("project"), api.JoinProject{Role: api.Role(v.text("role"))})
	if err != nil {
		return v.again(err, showJoinProject)
	}
	return v.done("/projects/"+project.Slug+"/", "project-joined")
}
