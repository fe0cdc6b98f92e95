package web

import (
	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

const (
	adminMailPage = "/admin/mail/"
	mailTestPage  = adminMailPage + "test/"
)

func adminMailRoutes() []route {
	return []route{
		{method: get, pattern: adminMailPage, action: vault.ActionReadMail, serve: showMail},
		{method: get, pattern: mailTestPage, action: vault.ActionReadMail, serve: showMail},
		{method: post, pattern: mailTestPage, action: vault.ActionTestMail, serve: testMail},
	}
}

type mailData struct {
	api.MailStatus
	Me   string        // the address of who looks
	Test *api.MailTest // what came of a test just now
}

// SecurityText is the protection of the connection in words.
func (d mailData) SecurityText() string {
	switch d.Security {
	case "starttls":
		return "encrypted (STARTTLS)"
	case "tls":
		return "encrypted (TLS)"
	case "none":
		return "not encrypted"
	}
	return ""
}

// BackendText says in a sentence where mail goes.
func (d mailData) BackendText() string {
	switch d.Backend {
	case "smtp":
		return "Sent by a mail server"
	case "console":
		return "Written to the server's console, and sent to nobody"
	case "filebased":
		return "Written to files, and sent to nobody"
	case "dummy":
		return "Dropped"
	case "locmem":
		return "Kept in memory, and sent to nobody"
	}
	return "Switched off"
}

func showMail(v *visit) error { return v.showMail(nil) }

func (v *visit) showMail(test *api.MailTest) error {
	status, err := v.vault.MailStatus(v, v.who)
	if err != nil {
		return err
	}
	return v.show(page{Template: "admin-mail", Title: "Mail", Section: "mail", Data: mailData{status, v.who.Actor().Name, test}})
}

// testMail sends a mail while the browser waits, and shows what came of it.
func testMail(v *visit) error {
	in := api.TestMail{}
	if to := v.text("to"); to != "" {
		in.To = &to
	}
	test, err := v.vault.TestMail(v, v.who, in)
	if err != nil {
		return v.again(err, showMail)
	}
	return v.showMail(&test)
}
