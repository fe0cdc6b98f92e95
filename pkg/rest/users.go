package rest

import (
	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

const (
	users = "/admin/users/"
	user  = users + "{id}/"
)

func userRoutes() []Route {
	return []Route{
		define(get, users, vault.ActionListUsers, ok, "The accounts of the server, by address.", listUsers),
		define(post, users, vault.ActionCreateUser, created, "Create an account; without a password, with a link to choose one, which is mailed. A server that can not send mail shows it, in this answer only.", createUser),
		define(get, user, vault.ActionReadUser, ok, "One account and its memberships.", readUser),
		define(patch, user, vault.ActionUpdateUser, ok, "Change an account's names, switch it on or off, make it an administrator or take that away.", updateUser),
		define(post, user+"reset-password/", vault.ActionResetUserPassword, created, "Mail a link to choose a new password. A server that can not send mail shows it, in this answer only.", resetUserPassword),
		define(post, user+"end-sessions/", vault.ActionEndUserSessions, ok, "End all sessions of an account.", endUserSessions),
		define(remove, user+"second-factor/", vault.ActionRemoveSecondFactor, noContent, "Remove the second factor of a person who has lost it.", removeSecondFactor),
		define(get, "/admin"+projects, vault.ActionListAllProjects, ok, "The projects of the server with their owners, by slug.", listAllProjects),
		define(post, "/admin"+project+"join/", vault.ActionJoinProject, ok, "Become a member of a project, or raise one's role; its owners are told.", joinProject),
	}
}

func listUsers(c *call, in struct {
	page
	Q         string `query:"q" doc:"Part of the address or of the name."`
	Active    *bool  `query:"active" doc:"Only accounts that are switched on, or off."`
	Superuser *bool  `query:"superuser" doc:"Only administrators, or only others."`
},
) (api.Page[api.User], error) {
	return c.api.vault.Users(c, c.who, vault.UserQuery{
		Text: in.Q, Active: in.Active, Superuser: in.Superuser, Cursor: in.Cursor, Limit: in.Limit,
	})
}

func createUser(c *call, in withBody[api.CreateUser]) (api.CreatedUser, error) {
	return c.api.vault.CreateUser(c, c.who, in.Body)
}

func readUser(c *call, in idRef) (api.UserDetail, error) {
	return c.api.vault.User(c, c.who, in.ID)
}

func updateUser(c *call, in struct {
	idRef
	withBody[api.UpdateUser]
},
) (api.User, error) {
	return c.api.vault.UpdateUser(c, c.who, in.ID, in.Body)
}

func resetUserPassword(c *call, in idRef) (api.PasswordLink, error) {
	return c.api.vault.ResetUserPassword(c, c.who, in.ID)
}

func endUserSessions(c *call, in idRef) (api.EndedSessions, error) {
	return c.api.vault.EndUserSessions(c, c.who, in.ID)
}

func removeSecondFactor(c *call, in idRef) (empty, error) {
	return empty{}, c.api.vault.RemoveSecondFactor(c, c.who, in.ID)
}

func listAllProjects(c *call, in page) (api.Page[api.AdminProject], error) {
	return c.api.vault.AllProjects(c, c.who, in.Cursor, in.Limit)
}

func joinProject(c *call, in struct {
	projectRef
	withBody[api.JoinProject]
},
) (api.Project, error) {
	return c.api.vault.JoinProject(c, c.who, in.Project, in.Body)
}
