package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/heartlock/heartlock/pkg/fault"
)

// Security is how the connection to an SMTP server is protected.
type Security string

// The kinds of protection. There is no way from one that protects to one that
// does not: a server that does not offer StartTLS gets nothing.
const (
	Plain       Security = "none"
	StartTLS    Security = "starttls"
	ImplicitTLS Security = "tls"
)

// budgetFactor is how many times the time-out of a step the opening of a
// connection or the sending of a letter may take as a whole.
const budgetFactor = 6

// SMTP sends letters to an SMTP server (RFC 5321), by default one that speaks
// STARTTLS (RFC 3207).
//
// It signs in only if User and Password are both set, and never over a
// connection in the clear unless that stays on this machine.
type SMTP struct {
	Host     string
	Port     int
	User     string
	Password string
	Security Security
	// Timeout is for the dial, for the handshake, and for each command.
	Timeout time.Duration
	// Name is what the client calls itself; empty: "localhost".
	Name string
	// Roots are the authorities that certificates are checked against; nil: those
	// of the system.
	Roots *x509.CertPool
}

func (s *SMTP) address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

func (s *SMTP) signsIn() bool { return s.User != "" && s.Password != "" }

// About implements Sender.
func (s *SMTP) About() About {
	a := About{Backend: "smtp", Server: s.address(), TLS: string(s.Security), Delivers: true}
	if s.signsIn() {
		a.User = s.User
	}
	return a
}

// Budget implements Sender.
func (s *SMTP) Budget() time.Duration { return 2 * budgetFactor * s.Timeout }

// Open implements Sender: it connects, protects the connection and signs in.
func (s *SMTP) Open(ctx context.Context, tell func(string)) (Connection, error) {
	if tell == nil {
		tell = func(string) {}
	}
	ctx, cancel := context.WithTimeout(ctx, budgetFactor*s.Timeout)
	defer cancel()
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, s.failure(stepConnect, err)
	}
	c := &smtpConnection{sender: s, conn: conn}
	stop := c.until(ctx)
	defer stop()
	tell("Connected to " + s.address() + ".")
	if err := s.greet(ctx, c, tell); err != nil {
		c.Close()
		if ctx.Err() != nil {
			err = s.failure(stepTime, ctx.Err())
		}
		return nil, err
	}
	return c, nil
}

func (s *SMTP) dial(ctx context.Context) (*patientConn, error) {
	dialing, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(dialing, "tcp", s.address())
	if err != nil {
		return nil, err
	}
	return &patientConn{Conn: raw, timeout: s.Timeout, left: longestTalk}, nil
}

// greet brings a connection to the point where a letter can be sent.
func (s *SMTP) greet(ctx context.Context, c *smtpConnection, tell func(string)) (err error) {
	var conn net.Conn = c.conn
	settings := &tls.Config{ServerName: s.Host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}
	if s.Security == ImplicitTLS {
		protected := tls.Client(c.conn, settings)
		if err := protected.HandshakeContext(ctx); err != nil {
			return s.failure(stepTLS, err)
		}
		conn = protected
	}
	if c.client, err = smtp.NewClient(conn, s.Host); err != nil {
		return s.failure(stepGreet, err)
	}
	c.client.SkipSMTPUTF8(true) // every address is ASCII
	if err := c.client.Hello(s.name()); err != nil {
		return s.failure(stepGreet, err)
	}
	if s.Security == StartTLS {
		if err := s.startTLS(c.client, settings); err != nil {
			return err
		}
	}
	if s.Security != Plain {
		state, protected := c.client.TLSConnectionState()
		if !protected || !state.HandshakeComplete {
			return s.failure(stepTLS, errors.New("the handshake is not complete"))
		}
		tell("The connection is protected by " + tls.VersionName(state.Version) + ", the certificate is valid for " + s.Host + ".")
	}
	return s.signIn(c, tell)
}

func (s *SMTP) name() string {
	if s.Name == "" || strings.ContainsAny(s.Name, " \t\r\n") {
		return "localhost"
	}
	return s.Name
}

// startTLS protects the connection or fails. What the server said before is
// forgotten (RFC 3207, 4.2): the client makes a new reader and greets again.
func (s *SMTP) startTLS(c *smtp.Client, settings *tls.Config) error {
	if offered, _ := c.Extension("STARTTLS"); !offered {
		return fault.New(fault.Unavailable, "The mail server "+s.address()+" does not offer STARTTLS, so nothing was sent to it. Use the port for it (mostly 587); EMAIL_USE_SSL=True is for port 465; EMAIL_USE_TLS=False sends mail without any protection.")
	}
	if err := c.StartTLS(settings); err != nil {
		return s.failure(stepTLS, err)
	}
	return nil
}

// signIn uses the first mechanism of ours that the server offers. Over a
// connection that is not protected it does so only on this machine.
func (s *SMTP) signIn(c *smtpConnection, tell func(string)) error {
	if !s.signsIn() {
		return nil
	}
	inClear := s.Security == Plain
	if inClear && !isLoopback(c.conn.RemoteAddr()) {
		return fault.New(fault.Unavailable, "The mail password is not sent over a connection in the clear to "+s.address()+". Set EMAIL_USE_TLS=True, or unset EMAIL_HOST_USER and EMAIL_HOST_PASSWORD.")
	}
	_, offered := c.client.Extension("AUTH")
	auth := s.mechanism(strings.Fields(strings.ToUpper(offered)), inClear)
	if auth == nil {
		return fault.New(fault.Unavailable, "The mail server "+s.address()+" does not offer to sign in in a way that is known here (PLAIN, LOGIN, SCRAM-SHA-256, CRAM-MD5). Unset EMAIL_HOST_USER and EMAIL_HOST_PASSWORD if it wants none.")
	}
	if err := c.client.Auth(auth); err != nil {
		return s.failure(stepAuth, err)
	}
	tell("Signed in as " + s.User + ".")
	return nil
}

func (s *SMTP) mechanism(offered []string, inClear bool) smtp.Auth {
	for _, known := range []struct {
		name string
		auth func() smtp.Auth
	}{
		{"PLAIN", func() smtp.Auth { return smtp.PlainAuth("", s.User, s.Password, s.Host, inClear) }},
		{"LOGIN", func() smtp.Auth { return smtp.LoginAuth(s.User, s.Password, s.Host, inClear) }},
		{"SCRAM-SHA-256", func() smtp.Auth { return smtp.ScramSHA256Auth(s.User, s.Password) }},
		{"CRAM-MD5", func() smtp.Auth { return smtp.CRAMMD5Auth(s.User, s.Password) }},
	} {
		for _, name := range offered {
			if name == known.name {
				return known.auth()
			}
		}
	}
	return nil
}

func isLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// smtpConnection is a connection that is ready for letters.
type smtpConnection struct {
	sender *SMTP
	conn   *patientConn
	client *smtp.Client
	broken bool
}

// until has the connection fail at once when ctx ends.
func (c *smtpConnection) until(ctx context.Context) (stop func()) {
	release := context.AfterFunc(ctx, func() { _ = c.conn.Close() })
	return func() { release() }
}

// Send implements Connection.
func (c *smtpConnection) Send(ctx context.Context, l Letter) error {
	text, err := l.encode()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, budgetFactor*c.sender.Timeout)
	defer cancel()
	defer c.until(ctx)()
	c.conn.left = longestTalk
	step, err := c.transfer(l, text)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		step, err = stepTime, ctx.Err()
	}
	failure := c.sender.failure(step, err, linksOf(l)...)
	if reply := replyOf(err); reply == nil || reply.Code == 421 || c.client.Reset() != nil {
		c.broken = true
	}
	return failure
}

// transfer is one mail transaction. It reports the step at which it has failed.
func (c *smtpConnection) transfer(l Letter, text []byte) (smtpStep, error) {
	if err := c.client.Mail("<" + l.From.Address + ">"); err != nil {
		return stepFrom, err
	}
	if err := c.client.Rcpt("<" + l.To + ">"); err != nil {
		return stepTo, err
	}
	w, err := c.client.Data()
	if err != nil {
		return stepData, err
	}
	if _, err := w.Write(text); err != nil {
		return stepData, err
	}
	if err := w.Close(); err != nil {
		return stepContent, err
	}
	return 0, nil
}

// Usable implements Connection.
func (c *smtpConnection) Usable() bool { return !c.broken }

// Close implements Connection.
func (c *smtpConnection) Close() {
	if c.client != nil && !c.broken {
		_ = c.client.Quit()
	}
	_ = c.conn.Close()
}

// longestTalk bounds in bytes what a server may say while a connection is opened,
// and then for each letter: the library would keep a reply without an end.
const longestTalk = 1 << 20

var errTalk = errors.New("the server does not come to an end")

// patientConn gives every read and every write the same time, whatever deadline
// the library would set for all of them together.
type patientConn struct {
	net.Conn
	timeout time.Duration
	left    int // what may still be read
}

func (c *patientConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTalk
	}
	if err := c.Conn.SetReadDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

func (c *patientConn) Write(b []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// SetDeadline does nothing.
func (c *patientConn) SetDeadline(time.Time) error { return nil }
