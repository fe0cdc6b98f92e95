package web

import (
	"html/template"
	"slices"
	"strings"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

const (
	confirmFactorPage = secondFactorPage + "confirm/"
	recoveryCodesPage = secondFactorPage + "recovery-codes/"
	disableFactorPage = secondFactorPage + "disable/"
)

// secondFactorRoutes: the addresses of what is done can be looked at too, so that
// who comes back to one of them sees how things are.
func secondFactorRoutes() []route {
	return []route{
		{method: get, pattern: secondFactorPage, action: vault.ActionReadSecondFactor, serve: showSecondFactor},
		{method: post, pattern: secondFactorPage, action: vault.ActionSetUpSecondFactor, serve: setUpSecondFactor},
		{method: get, pattern: confirmFactorPage, action: vault.ActionReadSecondFactor, serve: showSecondFactor},
		{method: post, pattern: confirmFactorPage, action: vault.ActionConfirmSecondFactor, serve: confirmSecondFactor},
		{method: get, pattern: recoveryCodesPage, action: vault.ActionReadSecondFactor, serve: showSecondFactor},
		{method: post, pattern: recoveryCodesPage, action: vault.ActionRenewRecoveryCodes, serve: renewRecoveryCodes},
		{method: post, pattern: disableFactorPage, action: vault.ActionDisableSecondFactor, serve: disableSecondFactor},
	}
}

type secondFactorData struct {
	accountNav
	api.SecondFactorState
	HasPassword bool
	Email       string
}

// FewCodes reports whether it is time for new recovery codes.
func (d secondFactorData) FewCodes() bool { return d.RecoveryCodesLeft <= 3 }

func showSecondFactor(v *visit) error {
	nav, err := v.accountNav()
	if err != nil {
		return err
	}
	state, err := v.vault.SecondFactor(v, v.who)
	if err != nil {
		return err
	}
	account, _ := v.who.Account()
	return v.show(page{Template: "second-factor", Title: "Second factor", Section: "second-factor", Data: secondFactorData{
		nav, state, account.HasPassword, account.Email,
	}})
}

// factorSetup is what an authenticator app is given. It is in the page that answers
// the form and nowhere else, so that it is not there any more when a code was wrong:
// the app has it by then.
type factorSetup struct {
	accountNav
	Picture template.HTML
	Groups  []string // of the secret, to be typed in
	Email   string
}

func setUpSecondFactor(v *visit) error {
	setup, err := v.vault.SetUpSecondFactor(v, v.who, api.SecondFactorProof{Password: v.value("password")})
	if err != nil {
		return v.again(err, showSecondFactor)
	}
	picture, err := qrCode(setup.URI, "QR code of the secret, for your authenticator app")
	if err != nil {
		return err
	}
	return showFactorSetup(v, picture, groups(setup.Secret))
}

func showFactorSetup(v *visit, picture template.HTML, secret []string) error {
	nav, err := v.accountNav()
	if err != nil {
		return err
	}
	account, _ := v.who.Account()
	return v.show(page{Template: "second-factor-setup", Title: "Set up a second factor", Section: "second-factor", Data: factorSetup{
		nav, picture, secret, account.Email,
	}})
}

// groups parts a secret into what can be typed at a time.
func groups(secret api.Value) []string {
	const each = 4
	var parts []string
	for part := range slices.Chunk([]byte(secret.Reveal()), each) {
		parts = append(parts, string(part))
	}
	return parts
}

func confirmSecondFactor(v *visit) error {
	codes, err := v.vault.ConfirmSecondFactor(v, v.who, api.SecondFactorCode{Code: v.value("code")})
	if err != nil {
		return v.again(err, func(v *visit) error { return showFactorSetup(v, "", nil) })
	}
	return v.showRecoveryCodes(codes, true)
}

func renewRecoveryCodes(v *visit) error {
	codes, err := v.vault.RenewRecoveryCodes(v, v.who, v.factorProof())
	if err != nil {
		return v.again(err, showSecondFactor)
	}
	return v.showRecoveryCodes(codes, false)
}

func (v *visit) factorProof() api.SecondFactorProof {
	return api.SecondFactorProof{Password: v.value("password"), Code: v.value("code")}
}

type recoveryCodes struct {
	accountNav
	Codes      string // one on a line
	SwitchedOn bool   // just now
}

// showRecoveryCodes shows new codes, this one time.
func (v *visit) showRecoveryCodes(codes api.RecoveryCodes, switchedOn bool) error {
	nav, err := v.accountNav()
	if err != nil {
		return err
	}
	nav.Due = false
	lines := make([]string, len(codes.Codes))
	for i, code := range codes.Codes {
		lines[i] = code.Reveal()
	}
	return v.show(page{Template: "recovery-codes", Title: "Recovery codes", Section: "second-factor", Data: recoveryCodes{
		nav, strings.Join(lines, "\n"), switchedOn,
	}})
}

func disableSecondFactor(v *visit) error {
	if err := v.vault.DisableSecondFactor(v, v.who, v.factorProof()); err != nil {
		return v.again(err, showSecondFactor)
	}
	return v.done(secondFactorPage, "second-factor-off")
}
