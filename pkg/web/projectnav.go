package web

import (
	"github.com/heartlock/heartlock/pkg/api"
)

// projectNav makes the navigation of a project's page, with the part of the project
// that the page shows. The project and, where there is one, the environment are those
// of the address; what the caller can not see is not found.
func (v *visit) projectNav(section string) (*projectNav, error) {
	project, err := v.vault.Project(v, v.who, v.path("project"))
	if err != nil {
		return nil, err
	}
	list, err := v.vault.Environments(v, v.who, project.ID)
	if err != nil {
		return nil, err
	}
	nav := &projectNav{Project: project, Section: section, Environments: list.Results}
	if ref := v.path("environment"); ref != "" {
		if nav.Environment = nav.named(ref); nav.Environment == nil {
			return nil, errNoPage
		}
	}
	return nav, nil
}

// named finds an environment by its slug or id; nil: there is none.
func (n *projectNav) named(ref string) *api.Environment {
	for i := range n.Environments {
		if e := &n.Environments[i]; e.Slug == ref || e.ID == ref {
			return e
		}
	}
	return nil
}

// Base is the address of the project's pages.
func (n *projectNav) Base() string { return "/projects/" + n.Project.Slug + "/" }
