package rest

import (
	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

const (
	members = project + "members/"
	member  = members + "{user}/"
)

func memberRoutes() []Route {
	return []Route{
		define(get, members, vault.ActionListMembers, ok, "The members of a project.", listMembers),
		define(patch, member, vault.ActionUpdateMember, ok, "Change what a member may do: the role, and limits in single environments.", updateMember),
		define(remove, member, vault.ActionRemoveMember, noContent, "Remove a member with the service tokens that he has made; oneself whatever one's role.", removeMember),
	}
}

type memberRef struct {
	projectRef
	User string `path:"user" doc:"Id of the user."`
}

func listMembers(c *call, in struct {
	projectRef
	page
},
) (api.Page[api.Member], error) {
	all, err := c.api.vault.Members(c, c.who, in.Project)
	if err != nil {
		return all, err
	}
	return cut(all, in.page, func(m api.Member) string { return m.ID })
}

func updateMember(c *call, in struct {
	memberRef
	withBody[api.UpdateMember]
},
) (api.Member, error) {
	return c.api.vault.UpdateMember(c, c.who, in.Project, in.User, in.Body)
}

func removeMember(c *call, in struct {
	memberRef
	KeepTokens bool `query:"keep_tokens" doc:"true keeps the service tokens of the project that the person has made; for admins and owners."`
},
) (empty, error) {
	return empty{}, c.api.vault.RemoveMember(c, c.who, in.Project, in.User, in.KeepTokens)
}
