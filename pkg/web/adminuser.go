package web

import (
	"time"

	"github.com/heartlock/heartlock/pkg/api"
)

type userData struct {
	User      api.UserDetail
	Self      bool   // it is the account of who looks
	Link      string // to choose a password: just made, to be passed on
	ExpiresAt time.Time
}

// Base is the address of the account's page.
func (d userData) Base() string { return usersPage + d.User.ID + "/" }

// Name is how the account is spoken of.
func (d userData) Name() string {
	return personName(&api.Account{Email: d.User.Email, FirstName: d.User.FirstName, LastName: d.User.LastName})
}

func showUser(v *visit) error { return v.showUser(api.PasswordLink{}) }

// showUser shows an account, and this one time a link that was just made.
func (v *visit) showUser(link api.PasswordLink) error {
	user, err := v.vault.User(v, v.who, v.path("user"))
	if err != nil {
		return err
	}
	data := userData{User: user, Self: v.who.Actor().ID == user.ID, ExpiresAt: link.ExpiresAt}
	if link.Link != nil {
		data.Link = link.Link.Reveal()
	}
	return v.show(page{Template: "admin-user", Title: data.Name(), Section: "users", Data: data})
}

// userPage is the page of the account that is spoken of.
func (v *visit) userPage() string { return usersPage + v.path("user") + "/" }

func renameUser(v *visit) error {
	first, last := v.text("first_name"), v.text("last_name")
	if _, err := v.vault.UpdateUser(v, v.who, v.path("user"), api.UpdateUser{FirstName: &first, LastName: &last}); err != nil {
		return v.again(err, showUser)
	}
	return v.done(v.userPage(), "user-renamed")
}

func activateUser(v *visit) error {
	return v.changeUser(api.UpdateUser{IsActive: new(true)}, "user-activated")
}

func deactivateUser(v *visit) error {
	return v.changeUser(api.UpdateUser{IsActive: new(false)}, "user-deactivated")
}

func grantAdministration(v *visit) error {
	return v.changeUser(api.UpdateUser{IsSuperuser: new(true)}, "user-granted")
}

func revokeAdministration(v *visit) error {
	return v.changeUser(api.UpdateUser{IsSuperuser: new(false)}, "user-revoked")
}

// changeUser makes one change to an account. The vault refuses what would leave the
// server without an administrator, or a project without an owner; the page says so.
func (v *visit) changeUser(change api.UpdateUser, notice string) error {
	if _, err := v.vault.UpdateUser(v, v.who, v.path("user"), change); err != nil {
		return v.again(err, showUser)
	}
	if self := v.who.Actor().ID == v.path("user"); self && change.IsActive != nil && !*change.IsActive {
		v.site.options.Cookies.End(v.w)
		return v.done(signInPage, "deactivated-oneself")
	}
	if self := v.who.Actor().ID == v.path("user"); self && change.IsSuperuser != nil {
		return v.done(accountPage, "resigned")
	}
	return v.done(v.userPage(), notice)
}

func resetUserPassword(v *visit) error {
	link, err := v.vault.ResetUserPassword(v, v.who, v.path("user"))
	if err != nil {
		return v.again(err, showUser)
	}
	if link.Link == nil {
		return v.done(v.userPage(), "password-link-mailed")
	}
	return v.showUser(link)
}

func endUserSessions(v *visit) error {
	if _, err := v.vault.EndUserSessions(v, v.who, v.path("user")); err != nil {
		return v.again(err, showUser)
	}
	if v.who.Actor().ID == v.path("user") {
		v.site.options.Cookies.End(v.w)
		return v.done(signInPage, "own-sessions-ended")
	}
	return v.done(v.userPage(), "user-sessions-ended")
}

func removeSecondFactor(v *visit) error {
	if err := v.vault.RemoveSecondFactor(v, v.who, v.path("user")); err != nil {
		return v.again(err, showUser)
	}
	return v.done(v.userPage(), "user-factor-removed")
}
