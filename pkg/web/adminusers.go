package web

import (
	"net/url"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/vault"
)

const (
	usersPage   = "/admin/users/"
	newUserPage = "/admin/users/new/"
	userPage    = "/admin/users/{user}/"
)

func adminUserRoutes() []route {
	return []route{
		{method: get, pattern: usersPage, action: vault.ActionListUsers, serve: showUsers},
		{method: get, pattern: newUserPage, action: vault.ActionCreateUser, serve: showNewUser},
		{method: post, pattern: newUserPage, action: vault.ActionCreateUser, serve: createUser},
		{method: get, pattern: userPage, action: vault.ActionReadUser, serve: showUser},
		{method: post, pattern: userPage, action: vault.ActionUpdateUser, serve: renameUser},
		{method: post, pattern: userPage + "activate/", action: vault.ActionUpdateUser, serve: activateUser},
		{method: post, pattern: userPage + "deactivate/", action: vault.ActionUpdateUser, serve: deactivateUser},
		{method: post, pattern: userPage + "grant/", action: vault.ActionUpdateUser, serve: grantAdministration},
		{method: post, pattern: userPage + "revoke/", action: vault.ActionUpdateUser, serve: revokeAdministration},
		{method: get, pattern: userPage + "reset-password/", action: vault.ActionReadUser, serve: showUser},
		{method: post, pattern: userPage + "reset-password/", action: vault.ActionResetUserPassword, serve: resetUserPassword},
		{method: post, pattern: userPage + "end-sessions/", action: vault.ActionEndUserSessions, serve: endUserSessions},
		{method: post, pattern: userPage + "remove-second-factor/", action: vault.ActionRemoveSecondFactor, serve: removeSecondFactor},
	}
}

// usersPerPage is how many accounts a page lists.
const usersPerPage = 50

// Which accounts a list shows.
const (
	onlyActive         = "active"
	onlyInactive       = "inactive"
	onlyAdministrators = "administrators"
)

type usersData struct {
	Users []api.User
	Query string
	Show  string
	First string // the address of the first page; "" on that page
	Next  string // the address of the next page; "" on the last
}

// Narrowed reports whether not all accounts are shown.
func (d usersData) Narrowed() bool { return d.Query != "" || d.Show != "" }

func showUsers(v *visit) error {
	data := usersData{Query: v.query("q"), Show: v.query("show")}
	query := vault.UserQuery{Text: data.Query, Cursor: v.query("after"), Limit: usersPerPage}
	switch data.Show {
	case onlyActive:
		query.Active = new(true)
	case onlyInactive:
		query.Active = new(false)
	case onlyAdministrators:
		query.Superuser = new(true)
	default:
		data.Show = ""
	}
	list, err := v.vault.Users(v, v.who, query)
	if err != nil {
		return err
	}
	data.Users = list.Results
	if query.Cursor != "" {
		data.First = data.address("")
	}
	if list.Next != nil {
		data.Next = data.address(*list.Next)
	}
	return v.show(page{Template: "admin-users", Title: "People", Section: "users", Data: data})
}

// address is that of the same list from a cursor on.
func (d usersData) address(after string) string {
	query := url.Values{}
	for name, value := range map[string]string{"q": d.Query, "show": d.Show, "after": after} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if len(query) == 0 {
		return usersPage
	}
	return usersPage + "?" + query.Encode()
}

type newUserData struct {
	MailReaches bool
	Made        *api.CreatedUser // just made, with a link to pass on
	Link        string
	ExpiresAt   time.Time
}

func showNewUser(v *visit) error {
	mail, err := v.vault.MailStatus(v, v.who)
	if err != nil {
		return err
	}
	return v.show(page{Template: "admin-user-new", Title: "New account", Section: "users", Data: newUserData{MailReaches: mail.Backend == string(config.MailSMTP)}})
}

// createUser shows the link to choose a password if it could not be mailed: this one
// time.
func createUser(v *visit) error {
	made, err := v.vault.CreateUser(v, v.who, api.CreateUser{
		Email: v.text("email"), FirstName: v.text("first_name"), LastName: v.text("last_name"), IsSuperuser: v.checked("is_superuser"),
	})
	if err != nil {
		return v.again(err, showNewUser)
	}
	if made.PasswordLink == nil || made.PasswordLink.Link == nil {
		return v.done(usersPage+made.ID+"/", "user-created")
	}
	return v.show(page{Template: "admin-user-new", Title: "New account", Section: "users", Data: newUserData{
		Made: &made, Link: made.PasswordLink.Link.Reveal(), ExpiresAt: made.PasswordLink.ExpiresAt,
	}})
}
