package web

import (
	"context"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// The first run is one form. It is sent as often as it takes; once it has succeeded,
// its answer is the page with the new encryption key, there is no form any more, and
// the server goes on with the new settings.

const firstRunPage = "/onboarding/"

// welcomeTime is how long it may take to sign the first administrator in.
const welcomeTime = 10 * time.Second

func firstRunRoutes() []route {
	return []route{
		{method: get, pattern: firstRunPage, action: vault.ActionOnboardingStatus, serve: showFirstRun},
		{method: post, pattern: firstRunPage, action: vault.ActionOnboard, serve: finishFirstRun},
	}
}

func showFirstRun(v *visit) error {
	status, err := v.site.options.OnboardingStatus(v)
	if err != nil {
		return err
	}
	if !status.Required {
		return v.noFirstRun()
	}
	return v.show(page{Template: "first-run", Title: "Set up Heartlock", Plain: true, Data: v.firstRunForm(status.Fixed)})
}

// noFirstRun answers when there is no first run to be had. Once it is finished that is
// the answer for a page that does not exist.
func (v *visit) noFirstRun() error {
	done, err := v.vault.Onboarded(v)
	switch {
	case err != nil:
		return err
	case done:
		return errNoPage
	}
	v.problems = nil
	return v.show(page{Template: "first-run-off", Title: "This server is not set up yet", Plain: true, Status: fault.NotFound.Status()})
}

func finishFirstRun(v *visit) error {
	in := v.firstRunAnswers()
	err := v.checkFirstRun(in)
	var answer api.OnboardResponse
	if err == nil {
		answer, err = v.site.options.Onboard(v, v.who, in)
	}
	if fault.KindOf(err) == fault.NotFound && err != nil {
		return v.noFirstRun()
	}
	if err != nil {
		return v.again(atSetupToken(err), showFirstRun)
	}
	return v.site.options.WithCurrent(func(current *vault.Vault) error {
		// The first run may have taken all the time that the request had.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(v.Context), welcomeTime)
		defer cancel()
		v.Context, v.vault = ctx, current
		return v.welcome(in, answer)
	})
}

// atSetupToken says at its field that the set-up token is wrong: nothing else of a first
// run is forbidden.
func atSetupToken(err error) error {
	f := fault.As(err)
	if f == nil || f.Kind != fault.Forbidden {
		return err
	}
	there := *f
	there.Fields = []fault.Field{{Location: "body.setup_token", Message: "This is not the set-up token of this server."}}
	return &there
}

type welcomePage struct {
	Key         string // generated: this page alone shows it
	Where       string // else: where the key is
	Fingerprint string
	Email       string
}

// welcome signs the first administrator in with the password that he has just given,
// and shows him the key.
func (v *visit) welcome(in api.OnboardRequest, answer api.OnboardResponse) error {
	_, token, err := v.vault.Login(v, v.who, api.LoginRequest{Email: in.Admin.Email, Password: in.Admin.Password})
	if err == nil {
		err = v.startSession(token)
	}
	if err != nil { // he can do so himself; the key must be shown in any case
		v.site.options.Log.WarnContext(v, "the first administrator could not be signed in", "request_id", v.who.Request.ID, "error", fault.Detail(err))
	}
	data := welcomePage{Fingerprint: answer.Fingerprint, Email: answer.Account.Email, Where: v.whereKeyIs(in)}
	if answer.EncryptionKey != nil {
		data.Key = answer.EncryptionKey.Reveal()
	}
	return v.show(page{Template: "welcome", Title: "Heartlock is set up", Plain: true, Data: data})
}

// whereKeyIs names the place of a key that was not generated now.
func (v *visit) whereKeyIs(in api.OnboardRequest) string {
	switch {
	case in.EncryptionKey.Len() > 0:
		return "given"
	case v.site.options.Config.EncryptionKey.Source == config.KeyFromFile:
		return "file"
	case v.site.options.Config.EncryptionKey.Source == config.KeyFromAppConfig:
		return "settings"
	}
	return "environment"
}
