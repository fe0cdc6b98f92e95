package rest

import (
	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/vault"
)

func mailRoutes() []Route {
	return []Route{
		define(get, "/admin/mail/", vault.ActionReadMail, ok, "Where mail goes, what waits, and what has failed.", mailStatus),
		define(post, "/admin/mail/test/", vault.ActionTestMail, ok, "Send a mail at once and tell what came of it.", testMail),
	}
}

func mailStatus(c *call, _ nothing) (api.MailStatus, error) {
	return c.api.vault.MailStatus(c, c.who)
}

func testMail(c *call, in withBody[api.TestMail]) (api.MailTest, error) {
	return c.api.vault.TestMail(c, c.who, in.Body)
}
