package web

import (
	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

const accountPage = "/account/"

// accountRoutes are the pages of one's own account.
func (s *Site) accountRoutes() []route {
	table := []route{
		{method: get, pattern: accountPage, action: vault.ActionUpdateProfile, serve: showProfile},
		{method: post, pattern: accountPage, action: vault.ActionUpdateProfile, serve: updateProfile},
	}
	for _, part := range [][]route{passwordRoutes(), secondFactorRoutes(), sessionRoutes(), ownTokenRoutes(), identityRoutes()} {
		table = append(table, part...)
	}
	return table
}

// accountNav is what the navigation of the account's pages depends on.
type accountNav struct {
	// Linked: an identity provider opens the account, also if single sign-on is off
	// by now.
	Linked bool
	// Due: the account must set up a second factor before anything else.
	Due bool
}

func (v *visit) accountNav() (accountNav, error) {
	nav := accountNav{Due: v.who.LacksSecondFactor()}
	if nav.Due || v.site.options.SSO() != nil {
		return nav, nil
	}
	linked, err := v.vault.Identities(v, v.who)
	nav.Linked = len(linked.Results) > 0
	return nav, err
}

type profilePage struct {
	accountNav
	Account api.Account
}

func showProfile(v *visit) error {
	nav, err := v.accountNav()
	if err != nil {
		return err
	}
	account, _ := v.who.Account()
	return v.show(page{Template: "profile", Title: "Your profile", Section: "profile", Data: profilePage{nav, account}})
}

func updateProfile(v *visit) error {
	first, last := v.text("first_name"), v.text("last_name")
	if _, err := v.vault.UpdateProfile(v, v.who, api.UpdateMe{FirstName: &first, LastName: &last}); err != nil {
		return v.again(err, showProfile)
	}
	return v.done(accountPage, "profile-saved")
}
