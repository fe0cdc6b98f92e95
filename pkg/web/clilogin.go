package web

import (
	"strconv"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// cliRoutes are the pages on which a person lets a command line in: one that has
// opened this browser, and one elsewhere that has shown a code.
func (s *Site) cliRoutes() []route {
	return []route{
		// Whoever asks is told first what is wrong with the address, and then to sign in.
		{method: get, pattern: "/cli/login/", action: vault.ActionMeta, serve: showCLILogin},
		{method: post, pattern: "/cli/login/", action: vault.ActionApproveCLILogin, serve: approveCLILogin},
		{method: post, pattern: "/cli/login/deny/", action: vault.ActionDenyCLILogin, serve: denyCLILogin},

		{method: get, pattern: devicePage, action: vault.ActionReadDevice, serve: showDeviceCode},
		{method: post, pattern: devicePage, action: vault.ActionReadDevice, serve: findDevice},
		{method: post, pattern: devicePage + "approve/", action: vault.ActionApproveDevice, serve: approveDevice},
		{method: post, pattern: devicePage + "deny/", action: vault.ActionDenyDevice, serve: denyDevice},
	}
}

const devicePage = "/device/"

type cliLoginPage struct {
	vault.CLILogin
	vault.CLILoginView
	Days    []int
	Default int
}

// cliLogin is what the command line has asked for, from the address or from the form
// that repeats it.
func (v *visit) cliLogin() vault.CLILogin {
	from := v.r.URL.Query()
	if v.input != nil {
		from = v.input
	}
	return vault.CLILogin{
		Callback: from.Get("callback"), State: from.Get("state"),
		CodeChallenge: from.Get("code_challenge"), Machine: from.Get("machine"),
	}
}

func showCLILogin(v *visit) error {
	in := v.cliLogin()
	view, err := v.vault.CheckCLILogin(v.who, in)
	if err != nil {
		return err
	}
	return v.show(page{Template: "cli-login", Title: "Sign in the command line", Plain: true, Data: cliLoginPage{
		CLILogin: in, CLILoginView: view, Days: vault.TokenDays(), Default: vault.DefaultTokenDays,
	}})
}

func approveCLILogin(v *visit) error {
	days, err := v.days()
	if err != nil {
		return err
	}
	address, err := v.vault.ApproveCLILogin(v, v.who, v.cliLogin(), days)
	if err != nil {
		return err
	}
	return v.leave(address.Reveal(), "The command line is signed in", "Go back to your terminal; this page can be closed. If nothing has happened there, continue.")
}

func denyCLILogin(v *visit) error {
	address, err := v.vault.DenyCLILogin(v, v.who, v.cliLogin())
	if err != nil {
		return err
	}
	return v.leave(address, "The command line is not signed in", "It is told so. This page can be closed.")
}

// days is the lifetime that was chosen for the token.
func (v *visit) days() (int, error) {
	days, err := strconv.Atoi(v.input.Get("days"))
	if err != nil {
		return 0, fault.InvalidField("body.days", "choose one of the list")
	}
	return days, nil
}

type deviceCodePage struct{ Code string }

// showDeviceCode asks for the code. One that the address brings is only filled in: who
// follows a stranger's link has to compare it with what his own terminal shows (RFC
// 8628, section 5.4).
func showDeviceCode(v *visit) error {
	return v.show(page{Template: "device-code", Title: "Sign in a device", Plain: true, Data: deviceCodePage{Code: v.query("user_code")}})
}

type devicePageData struct {
	vault.DeviceRequest
	Days    []int
	Default int
}

func findDevice(v *visit) error {
	request, err := v.vault.DeviceRequest(v, v.who, v.text("code"))
	if err != nil {
		return v.againFor(err, fault.NotFound, showDeviceCode)
	}
	return v.show(page{Template: "device", Title: "Sign in a device", Plain: true, Data: devicePageData{
		DeviceRequest: request, Days: vault.TokenDays(), Default: vault.DefaultTokenDays,
	}})
}

func approveDevice(v *visit) error {
	days, err := v.days()
	if err != nil {
		return err
	}
	if err := v.vault.ApproveDevice(v, v.who, v.text("code"), days); err != nil {
		return v.againFor(err, fault.NotFound, showDeviceCode)
	}
	return v.show(page{Template: "device-done", Title: "The device is signed in", Plain: true, Data: true})
}

func denyDevice(v *visit) error {
	if err := v.vault.DenyDevice(v, v.who, v.text("code")); err != nil {
		return v.againFor(err, fault.NotFound, showDeviceCode)
	}
	return v.show(page{Template: "device-done", Title: "The device is not signed in", Plain: true, Data: false})
}
