//go:build unix

package heartlocktest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// SMTPMode is how an SMTP server protects its connections.
type SMTPMode int

// The modes, with the settings of a client for them.
const (
	SMTPPlain    SMTPMode = iota // EMAIL_USE_TLS=False
	SMTPStartTLS                 // EMAIL_USE_TLS=True, the default
	SMTPTLS                      // EMAIL_USE_SSL=True
)

// Mail is a mail that an SMTP server has received.
type Mail struct {
	From   string   // envelope
	To     []string // envelope
	Raw    string   // as it came
	Header mail.Header
	Text   string // decoded parts
	HTML   string
	User   string // who signed in
	TLS    bool
	// Connection numbers the connections of the server.
	Connection int
}

// Subject is the decoded subject.
func (m Mail) Subject() string {
	text, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return "undecodable: " + m.Header.Get("Subject")
	}
	return text
}

// SMTP is a real SMTP server on the loopback interface that keeps what it is
// sent.
type SMTP struct {
	Host     string
	Port     int
	Roots    *x509.CertPool // to trust its certificate in the same process
	CertFile string         // for SSL_CERT_FILE of another process

	mode        SMTPMode
	user, pass  string
	certificate tls.Certificate
	mails       chan Mail
	server      *smtp.Server
	listener    net.Listener

	mu          sync.Mutex
	received    bytes.Buffer // all bytes of all clients, as they were on the wire
	connections int
	answer      func(command, argument string) error
	mechanisms  []string
}

// StartSMTP runs a server until the test ends; with a user name it wants clients
// to sign in, by PLAIN or LOGIN.
func StartSMTP(tb testing.TB, mode SMTPMode, user, pass string) *SMTP {
	tb.Helper()
	return StartSMTPAt(tb, "127.0.0.1", mode, user, pass)
}

// StartSMTPAt is StartSMTP on another address of this machine.
func StartSMTPAt(tb testing.TB, host string, mode SMTPMode, user, pass string) *SMTP {
	tb.Helper()
	s := &SMTP{Host: host, mode: mode, user: user, pass: pass, mails: make(chan Mail, 1000), mechanisms: []string{sasl.Plain, sasl.Login}}
	s.certificate, s.Roots = selfSigned(tb)
	s.CertFile = filepath.Join(tb.TempDir(), "smtp.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.certificate.Certificate[0]})
	if err := os.WriteFile(s.CertFile, text, 0o644); err != nil { // a certificate is public, and another user reads it
		tb.Fatal(err)
	}
	s.Start(tb)
	tb.Cleanup(s.Stop)
	return s
}

// Start has a stopped server listen again, on the same port.
func (s *SMTP) Start(tb testing.TB) {
	tb.Helper()
	listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", s.Host, s.Port))
	if err != nil {
		tb.Fatal(err)
	}
	s.Port = listener.Addr().(*net.TCPAddr).Port
	s.server = smtp.NewServer(s)
	s.server.Domain, s.server.MaxMessageBytes = "localhost", 1<<20
	s.server.ReadTimeout, s.server.WriteTimeout = 30*time.Second, 30*time.Second
	s.server.AllowInsecureAuth = s.mode == SMTPPlain
	s.server.ErrorLog = quiet{}
	listener = recordingListener{listener, s}
	settings := &tls.Config{Certificates: []tls.Certificate{s.certificate}, MinVersion: tls.VersionTLS12}
	switch s.mode {
	case SMTPStartTLS:
		s.server.TLSConfig = settings
	case SMTPTLS:
		listener = tls.NewListener(listener, settings)
	case SMTPPlain:
	}
	server := s.server
	s.listener = listener
	go func() { _ = server.Serve(listener) }()
}

// Stop takes the server away: its port refuses connections.
func (s *SMTP) Stop() {
	_ = s.listener.Close() // Close may come before Serve
	_ = s.server.Close()
}

// Environ is the environment of a Heartlock that sends its mail here.
func (s *SMTP) Environ() []string {
	environ := []string{
		"EMAIL_HOST=" + s.Host, fmt.Sprintf("EMAIL_PORT=%d", s.Port), "EMAIL_HOST_USER=" + s.user, "EMAIL_HOST_PASSWORD=" + s.pass,
		"SSL_CERT_FILE=" + s.CertFile,
	}
	switch s.mode {
	case SMTPPlain:
		environ = append(environ, "EMAIL_USE_TLS=False")
	case SMTPTLS:
		environ = append(environ, "EMAIL_USE_SSL=True")
	case SMTPStartTLS:
	}
	return environ
}

// Next waits for one mail.
func (s *SMTP) Next(tb testing.TB) Mail {
	tb.Helper()
	select {
	case m := <-s.mails:
		return m
	case <-time.After(15 * time.Second):
		tb.Fatal("no mail came")
		panic("unreached")
	}
}

// Waiting is how many mails have come that Next has not returned.
func (s *SMTP) Waiting() int { return len(s.mails) }

// Received is everything that clients have sent, as it was on the wire.
func (s *SMTP) Received() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received.String()
}

// Connections is how many there have been.
func (s *SMTP) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Answer has a function judge the commands MAIL and RCPT, with the address, DATA,
// with the content, and AUTH, with the user name. nil accepts everything.
func (s *SMTP) Answer(judge func(command, argument string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = judge
}

// Offer sets the mechanisms to sign in by.
func (s *SMTP) Offer(mechanisms ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mechanisms = mechanisms
}

// Refusal is an answer of an SMTP server, such as 550 "5.1.1" "no such user".
func Refusal(code int, enhanced [3]int, text string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode(enhanced), Message: text}
}

func (s *SMTP) judge(command, argument string) error {
	s.mu.Lock()
	judge := s.answer
	s.mu.Unlock()
	if judge == nil {
		return nil
	}
	return judge(command, argument)
}

// NewSession implements smtp.Backend.
func (s *SMTP) NewSession(c *smtp.Conn) (smtp.Session, error) {
	_, protected := c.TLSConnectionState()
	s.mu.Lock()
	defer s.mu.Unlock()
	return &smtpSession{server: s, mail: Mail{TLS: protected, Connection: s.connections}}, nil
}

type smtpSession struct {
	server *SMTP
	mail   Mail
}

func (x *smtpSession) AuthMechanisms() []string {
	if x.server.user == "" {
		return nil
	}
	x.server.mu.Lock()
	defer x.server.mu.Unlock()
	return slices.Clone(x.server.mechanisms)
}

func (x *smtpSession) Auth(mechanism string) (sasl.Server, error) {
	check := func(user, pass string) error {
		if err := x.server.judge("AUTH", user); err != nil {
			return err
		}
		if user != x.server.user || pass != x.server.pass {
			return smtp.ErrAuthFailed
		}
		x.mail.User = user
		return nil
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, user, pass string) error { return check(user, pass) }), nil
	case sasl.Login:
		return &loginServer{check: check}, nil
	}
	return nil, smtp.ErrAuthUnknownMechanism
}

func (x *smtpSession) Mail(from string, _ *smtp.MailOptions) error {
	if x.server.user != "" && x.mail.User == "" {
		return smtp.ErrAuthRequired
	}
	x.mail.From = from
	return x.server.judge("MAIL", from)
}

func (x *smtpSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if err := x.server.judge("RCPT", to); err != nil {
		return err
	}
	x.mail.To = append(x.mail.To, to)
	return nil
}

func (x *smtpSession) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := x.server.judge("DATA", string(content)); err != nil {
		return err
	}
	m := x.mail
	m.Raw = string(content)
	if err := m.parse(); err != nil {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "the mail can not be parsed: " + err.Error()}
	}
	x.server.mails <- m
	return nil
}

func (x *smtpSession) Reset() {
	x.mail = Mail{TLS: x.mail.TLS, User: x.mail.User, Connection: x.mail.Connection}
}
func (x *smtpSession) Logout() error { return nil }

// parse takes a mail of two parts apart.
func (m *Mail) parse() error {
	message, err := mail.ReadMessage(strings.NewReader(m.Raw))
	if err != nil {
		return err
	}
	m.Header = message.Header
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		return fmt.Errorf("content type %q: %w", kind, errors.Join(err, errors.ErrUnsupported))
	}
	parts := multipart.NewReader(message.Body, parameters["boundary"])
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		text, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			return err
		}
		plain := strings.ReplaceAll(string(text), "\r\n", "\n")
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/plain") {
			m.Text = plain
		} else {
			m.HTML = plain
		}
	}
}

// loginServer speaks the mechanism LOGIN, for which go-sasl has only a client.
type loginServer struct {
	check func(user, pass string) error
	step  int
	user  string
}

func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	l.step++
	switch l.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.user, string(response))
}

// recordingListener records what clients send.
type recordingListener struct {
	net.Listener
	server *SMTP
}

func (l recordingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.server.mu.Lock()
	l.server.connections++
	l.server.mu.Unlock()
	return &recordingConn{c, l.server}, nil
}

type recordingConn struct {
	net.Conn
	server *SMTP
}

func (c *recordingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.server.mu.Lock()
	c.server.received.Write(b[:n])
	c.server.mu.Unlock()
	return n, err
}

// quiet drops what go-smtp would log of clients that go away.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// selfSigned makes a certificate for the loopback interface.
func selfSigned(tb testing.TB) (tls.Certificate, *x509.CertPool) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}
