package server

import (
	"context"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/mail"
)

// lookForMail is how often the queue is looked at for mail that another server, or
// a command, has queued, and for mail that is due again.
const lookForMail = 10 * time.Second

// mailDirName is where the backend "filebased" puts mail, below the data directory.
const mailDirName = "mail"

// postman delivers the queued mail beside everything else that a server does.
type postman struct {
	server *Server
	woken  chan struct{}
	said   string // the trouble that was logged last; only run uses it
}

func newPostman(s *Server) *postman { return &postman{server: s, woken: make(chan struct{}, 1)} }

// wake has the queue looked at soon. It does not wait.
func (p *postman) wake() {
	select {
	case p.woken <- struct{}{}:
	default: // it is on its way
	}
}

// run delivers until ctx ends.
func (p *postman) run(ctx context.Context) {
	look := time.NewTicker(lookForMail)
	defer look.Stop()
	for ctx.Err() == nil {
		p.deliver(ctx)
		select {
		case <-ctx.Done():
		case <-look.C:
		case <-p.woken:
		}
	}
}

// deliver holds the instance, so that the database is closed only after it.
func (p *postman) deliver(ctx context.Context) {
	now := p.server.acquire()
	if now == nil {
		return
	}
	defer now.users.RUnlock()
	done, err := now.Vault.DeliverMail(ctx)
	log := p.server.log
	if done.Sent > 0 {
		p.said = ""
		log.Info("mail sent", "mails", done.Sent)
	}
	if done.GivenUp > 0 {
		log.Error("mail was given up; GET /api/v1/admin/mail/ says why", "mails", done.GivenUp)
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	p.server.observe(err)
	if text := fault.Detail(err); text != p.said { // not the same every ten seconds
		p.said = text
		log.Warn("mail can not be sent at the moment; it waits", "error", text)
	}
}

// newMailer makes what the settings say. console is for the backend of that name.
func newMailer(cfg *config.Server, console io.Writer) *mail.Mailer {
	return &mail.Mailer{Sender: newSender(cfg, console), From: cfg.Mail.From}
}

func newSender(cfg *config.Server, console io.Writer) mail.Sender {
	m := cfg.Mail
	switch m.Backend {
	case config.MailSMTP:
		return &mail.SMTP{
			Host: m.Host, Port: m.Port, User: m.User, Password: m.Password.Reveal(), Timeout: m.Timeout,
			Security: mail.Security(m.TLS), Name: greeting(cfg.AppURL),
		}
	case config.MailConsole:
		if console == nil {
			console = os.Stderr
		}
		return mail.NewConsole(console)
	case config.MailFile:
		return mail.NewDirectory(filepath.Join(cfg.DataDir, mailDirName))
	case config.MailMemory:
		return mail.NewMemory()
	case config.MailDummy:
		return mail.NewDummy()
	case config.MailDisabled:
	}
	return mail.Disabled{}
}

// greeting is what the server calls itself at a mail server, some of which insist
// on a name with a domain: the host of its public address, or else this host's name.
func greeting(appURL string) string {
	host := ""
	if u, err := url.Parse(appURL); err == nil {
		host = u.Hostname()
	}
	switch address, err := netip.ParseAddr(host); {
	case host == "":
		return hostName()
	case err != nil:
		return host
	case address.Is6():
		return "[IPv6:" + host + "]" // RFC 5321, 4.1.3
	}
	return "[" + host + "]"
}
