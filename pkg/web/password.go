package web

import (
	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

const passwordPage = "/account/password/"

func passwordRoutes() []route {
	return []route{
		{method: get, pattern: passwordPage, action: vault.ActionChangePassword, serve: showPassword},
		{method: post, pattern: passwordPage, action: vault.ActionChangePassword, serve: changePassword},
	}
}

type passwordData struct {
	accountNav
	HasPassword bool
	Email       string
	Tokens      int // personal tokens
}

func showPassword(v *visit) error {
	nav, err := v.accountNav()
	if err != nil {
		return err
	}
	tokens, err := v.vault.OwnTokens(v, v.who)
	if err != nil {
		return err
	}
	account, _ := v.who.Account()
	return v.show(page{Template: "password", Title: "Password", Section: "password", Data: passwordData{
		nav, account.HasPassword, account.Email, len(tokens.Results),
	}})
}

// changePassword ends all sessions but a new one for the browser that did it.
func changePassword(v *visit) error {
	if !v.value("new_password").Equal(v.value("new_password_again")) {
		return v.again(fault.InvalidField("body.new_password_again", "is not the same as the new password"), showPassword)
	}
	token, err := v.vault.ChangePassword(v, v.who, api.ChangePassword{
		CurrentPassword: v.value("current_password"), NewPassword: v.value("new_password"), RevokeTokens: v.checked("revoke_tokens"),
	})
	if err != nil {
		return v.again(err, showPassword)
	}
	if err := v.startSession(token); err != nil {
		return err
	}
	return v.done(passwordPage, "password-changed")
}
