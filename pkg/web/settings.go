package web

import (
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

const settingsPath = projectPath + "settings/"

func settingsRoutes() []route {
	const environments = settingsPath + "environments/"
	return []route{
		{method: get, pattern: settingsPath, action: vault.ActionReadProject, serve: showSettings},
		{method: post, pattern: settingsPath, action: vault.ActionUpdateProject, serve: updateProject},
		{method: post, pattern: settingsPath + "delete/", action: vault.ActionDeleteProject, serve: deleteProject},
		{method: post, pattern: environments, action: vault.ActionCreateEnvironment, serve: createEnvironment},
		{method: post, pattern: environments + "{environment}/", action: vault.ActionUpdateEnvironment, serve: updateEnvironment},
		{method: post, pattern: environments + "{environment}/move/", action: vault.ActionUpdateEnvironment, serve: moveEnvironment},
		{method: post, pattern: environments + "{environment}/delete/", action: vault.ActionDeleteEnvironment, serve: deleteEnvironment},
	}
}

type settingsPage struct {
	MayUpdate  bool
	MayDelete  bool
	MayCreate  bool // environments
	MayProtect bool
	// Environments are in their order.
	Environments []environmentRow
	Secrets      int // in all environments that one sees
	Own          memberRow
}

type environmentRow struct {
	api.Environment
	MayUpdate   bool
	MayDelete   bool
	First, Last bool
}

func showSettings(v *visit) error {
	nav, err := v.projectNav("settings")
	if err != nil {
		return err
	}
	role := nav.Project.Role
	data := settingsPage{
		MayUpdate: vault.RoleMay(role, vault.ActionUpdateProject), MayDelete: vault.RoleMay(role, vault.ActionDeleteProject),
		MayCreate: vault.RoleMay(role, vault.ActionCreateEnvironment), MayProtect: vault.RoleMayProtect(role),
	}
	for i, e := range nav.Environments {
		ref := vault.EnvironmentRef{Project: nav.Project.ID, Environment: e.ID}
		data.Secrets += e.SecretCount
		data.Environments = append(data.Environments, environmentRow{
			Environment: e, First: i == 0, Last: i == len(nav.Environments)-1,
			MayUpdate: v.vault.Permits(v, v.who, vault.ActionUpdateEnvironment, ref) == nil,
			MayDelete: v.vault.Permits(v, v.who, vault.ActionDeleteEnvironment, ref) == nil,
		})
	}
	people, err := v.memberRows(nav)
	if err != nil {
		return err
	}
	for _, m := range people {
		if m.Self {
			data.Own = m
		}
	}
	nav.Environment = nil // the page is that of the project, also where a form names one
	return v.show(page{Template: "settings", Title: "Settings", Project: nav, Data: data})
}

func (v *visit) settingsPage() string { return "/projects/" + v.path("project") + "/settings/" }

func updateProject(v *visit) error {
	name, slug, description := v.text("name"), v.text("slug"), v.lines("description")
	project, err := v.vault.UpdateProject(v, v.who, v.path("project"), api.UpdateProject{Name: &name, Slug: &slug, Description: &description})
	if err != nil {
		return v.again(err, showSettings)
	}
	return v.done("/projects/"+project.Slug+"/settings/", "project-saved")
}

// deleteProject deletes the project if its slug was typed.
func deleteProject(v *visit) error {
	project, err := v.vault.Project(v, v.who, v.path("project"))
	if err != nil {
		return err
	}
	if err := v.typed(project.Slug); err != nil {
		return v.again(err, showSettings)
	}
	if err := v.vault.DeleteProject(v, v.who, project.ID); err != nil {
		return v.again(err, showSettings)
	}
	return v.done("/projects/", "project-deleted")
}

// typed refuses to go on unless a name was typed to confirm what can not be undone.
func (v *visit) typed(name string) error {
	if v.text("confirm") == name {
		return nil
	}
	return fault.New(fault.Invalid, "Nothing was deleted. To delete it, type "+name+" into the field.")
}

func createEnvironment(v *visit) error {
	_, err := v.vault.CreateEnvironment(v, v.who, v.path("project"), api.CreateEnvironment{
		Name: v.text("name"), Slug: v.text("slug"), Protected: v.text("protected") == yes,
	})
	if err != nil {
		return v.again(err, showSettings)
	}
	return v.done(v.settingsPage(), "environment-created")
}

// lines is a text of several lines, with line ends as they are stored.
func (v *visit) lines(name string) string { return strings.ReplaceAll(v.text(name), "\r\n", "\n") }

// yes is what a ticked box sends that stands for a choice between two: behind it, a
// hidden field sends another value, so that an unticked box is told from none.
const yes = "yes"

func updateEnvironment(v *visit) error {
	name, slug := v.text("name"), v.text("slug")
	change := api.UpdateEnvironment{Name: &name, Slug: &slug}
	if choice := v.text("protected"); choice != "" && v.isAnother("protected") {
		protected := choice == yes
		change.Protected = &protected
	}
	if _, err := v.vault.UpdateEnvironment(v, v.who, v.environment(), change); err != nil {
		return v.again(err, showSettings)
	}
	return v.done(v.settingsPage(), "environment-saved")
}

func moveEnvironment(v *visit) error {
	if err := v.vault.MoveEnvironment(v, v.who, v.environment(), v.text("direction") == "up"); err != nil {
		return v.again(err, showSettings)
	}
	return v.done(v.settingsPage(), "environment-moved")
}

// deleteEnvironment deletes the environment if its slug was typed.
func deleteEnvironment(v *visit) error {
	environment, err := v.vault.Environment(v, v.who, v.environment())
	if err != nil {
		return err
	}
	if err := v.typed(environment.Slug); err != nil {
		return v.again(err, showSettings)
	}
	err = v.vault.DeleteEnvironment(v, v.who, vault.EnvironmentRef{Project: v.path("project"), Environment: environment.ID})
	if err != nil {
		return v.again(err, showSettings)
	}
	return v.done(v.settingsPage(), "environment-deleted")
}
