package web

import (
	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

const (
	resetPage = "/password-reset/"
	// The address of a link is longer than this name.
	resetSentPage = resetPage + "sent/"
)

func passwordResetRoutes() []route {
	return []route{
		{method: get, pattern: resetPage, action: vault.ActionRequestPasswordReset, serve: showResetRequest},
		{method: post, pattern: resetPage, action: vault.ActionRequestPasswordReset, serve: requestReset},
		{method: get, pattern: resetSentPage, action: vault.ActionRequestPasswordReset, serve: showResetSent},
		{method: get, pattern: resetPage + "{token}/", action: vault.ActionConfirmPasswordReset, serve: showReset},
		{method: post, pattern: resetPage + "{token}/", action: vault.ActionConfirmPasswordReset, serve: confirmReset},
	}
}

type resetRequestPage struct {
	NoMail bool // the server can not send any
}

func showResetRequest(v *visit) error {
	return v.show(page{Template: "reset-request", Title: "Forgotten password", Plain: true, Data: resetRequestPage{
		NoMail: v.site.options.Config.Mail.Backend == config.MailDisabled,
	}})
}

// requestReset leads to one and the same page for every address.
func requestReset(v *visit) error {
	if err := v.vault.RequestPasswordReset(v, v.who, api.PasswordResetRequest{Email: v.text("email")}); err != nil {
		return v.again(err, showResetRequest)
	}
	redirect(v.w, resetSentPage)
	return nil
}

func showResetSent(v *visit) error {
	return v.show(page{Template: "reset-sent", Title: "Look at your mail", Plain: true})
}

type resetForm struct {
	Action string
	Email  string
}

// showReset shows the form of a link. It changes nothing: programs that look at mail
// open links.
func showReset(v *visit) error {
	limitReferrer(v)
	email, err := v.vault.OpenPasswordReset(v, v.who, api.NewValue(v.path("token")))
	if err != nil {
		return v.badResetLink(err)
	}
	return v.show(page{Template: "reset", Title: "Choose a new password", Plain: true, Data: resetForm{
		Action: resetPage + v.path("token") + "/", Email: email,
	}})
}

func confirmReset(v *visit) error {
	limitReferrer(v)
	err := v.vault.ConfirmPasswordReset(v, v.who, api.PasswordResetConfirm{
		Token: api.NewValue(v.path("token")), NewPassword: v.value("new_password"), RevokeTokens: v.checked("revoke_tokens"),
	})
	if fault.KindOf(err) == fault.Gone {
		return v.badResetLink(err)
	}
	if err != nil {
		return v.again(err, showReset)
	}
	return v.done(signInPage, "password-reset")
}

// badResetLink says what to do about a link that does not serve.
func (v *visit) badResetLink(err error) error {
	if fault.KindOf(err) != fault.Gone {
		return err
	}
	v.problems = nil
	return v.show(page{Template: "reset-over", Title: "This link can not be used", Plain: true, Status: fault.Gone.Status()})
}
