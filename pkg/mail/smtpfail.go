package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/textproto"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/heartlock/heartlock/pkg/fault"
)

// smtpStep is a step of sending a letter.
type smtpStep int

const (
	stepConnect smtpStep = iota + 1
	stepGreet
	stepTLS
	stepAuth
	stepFrom
	stepTo
	stepData    // asking to send the content, and sending it
	stepContent // the server's answer to the content
	stepTime    // the time for all steps together
)

// failure words what went wrong at a step for an administrator. secrets are texts
// of which the answer of the server, who may repeat them, is cleaned. The cause
// goes into the words as far as it helps, and is not kept: nobody has looked
// through what it may hold.
func (s *SMTP) failure(step smtpStep, err error, secrets ...string) error {
	if reply := replyOf(err); reply != nil {
		f := fault.New(fault.Unavailable, s.refusal(step, reply)+" It said: "+s.quote(reply, secrets))
		if isFinal(step, reply) {
			return permanent(f)
		}
		return f
	}
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &certificate):
		return fault.New(fault.Unavailable, s.certificateTrouble(certificate))
	case step == stepTime, isTimeout(err):
		return fault.New(fault.Unavailable, "The mail server "+s.address()+" did not answer in time ("+s.Timeout.String()+" for each step, EMAIL_TIMEOUT). Check EMAIL_HOST, EMAIL_PORT and the firewall; a port for TLS from the first byte (465) wants EMAIL_USE_SSL=True.")
	case step == stepConnect:
		return fault.New(fault.Unavailable, s.noConnection(err))
	case step == stepTLS:
		return fault.New(fault.Unavailable, s.noTLS(err))
	case step == stepAuth:
		return fault.New(fault.Unavailable, "Signing in at the mail server "+s.address()+" has failed: it did not keep to the protocol or ended the connection.")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return fault.New(fault.Unavailable, "The mail server "+s.address()+" ended the connection.")
	}
	return fault.New(fault.Unavailable, "The mail server "+s.address()+" gave an answer that is not of SMTP. Check EMAIL_HOST and EMAIL_PORT; a port for TLS from the first byte (465) wants EMAIL_USE_SSL=True.")
}

// replyOf is the answer of the server that err is about, or nil.
func replyOf(err error) *textproto.Error {
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return reply
	}
	return nil
}

// isFinal reports whether an answer refuses this letter for good. Where the answer
// is about who sends rather than to whom (5.7.x, RFC 3463: policy; or not signed
// in), the settings are to be mended, and the letter waits.
func isFinal(step smtpStep, reply *textproto.Error) bool {
	if reply.Code < 500 || reply.Code > 599 {
		return false
	}
	switch step {
	case stepTo:
		return reply.Code != 530 && reply.Code != 535 && reply.Code != 538 && !strings.HasPrefix(reply.Msg, "5.7.")
	case stepContent:
		return true
	}
	return false
}

func (s *SMTP) refusal(step smtpStep, reply *textproto.Error) string {
	server := "The mail server " + s.address()
	switch step {
	case stepAuth:
		if reply.Code == 535 || reply.Code == 534 {
			return server + " refused the password of " + s.User + ". Check EMAIL_HOST_USER and EMAIL_HOST_PASSWORD."
		}
		return server + " did not let " + s.User + " sign in."
	case stepFrom:
		return server + " refused the sender. Check DEFAULT_FROM_EMAIL, and whether EMAIL_HOST_USER may send as that."
	case stepTo:
		return server + " refused the recipient."
	case stepData, stepContent:
		return server + " refused the mail."
	case stepTLS:
		return server + " offers STARTTLS but refused it, so nothing was sent to it."
	}
	return server + " refused the connection."
}

func (s *SMTP) noConnection(err error) string {
	var name *net.DNSError
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return "There is no mail server with the name " + s.Host + ". Check EMAIL_HOST."
	case errors.As(err, &name):
		return "The name of the mail server, " + s.Host + ", can not be resolved at the moment."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "Nothing accepts connections at " + s.address() + ". Check EMAIL_HOST and EMAIL_PORT, and whether the mail server runs."
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "There is no way to the mail server " + s.address() + " in the network."
	}
	return "The mail server " + s.address() + " can not be reached."
}

func (s *SMTP) noTLS(err error) string {
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return "The mail server " + s.address() + " does not speak TLS from the first byte. EMAIL_USE_SSL=True is for port 465; other ports want EMAIL_USE_TLS=True."
	}
	return "The mail server " + s.address() + " and Heartlock could not agree on a TLS connection, so nothing was sent to it. TLS 1.2 is the least."
}

func (s *SMTP) certificateTrouble(err *tls.CertificateVerificationError) string {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
	)
	text := "The certificate of the mail server " + s.address() + " is not trusted, so nothing was sent to it: "
	switch {
	case errors.As(err.Err, &host):
		return text + "it is not for the name " + s.Host + ". Set EMAIL_HOST to a name that it is for."
	case errors.As(err.Err, &invalid) && invalid.Reason == x509.Expired:
		return text + "it has expired or is not valid yet."
	case errors.As(err.Err, &unknown):
		return text + "no authority that this system trusts has issued it. Install the authority's certificate on this system, or name a file with it in SSL_CERT_FILE."
	}
	return text + "it can not be verified."
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// longestReply is how much of a server's answer is repeated.
const longestReply = 200

var address = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]*://\S+`)

// quote is the answer of a server without anything that must not be in a log: the
// password in any form that was sent, addresses, and the secrets.
func (s *SMTP) quote(reply *textproto.Error, secrets []string) string {
	if s.Password != "" {
		secrets = append(secrets, s.Password,
			base64.StdEncoding.EncodeToString([]byte(s.Password)),
			base64.StdEncoding.EncodeToString([]byte("\x00"+s.User+"\x00"+s.Password)))
	}
	text := address.ReplaceAllString(oneLine(printable(reply.Msg)), "…") // whole, before a part of one is taken for a secret
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, "…")
	}
	if runes := []rune(text); len(runes) > longestReply {
		text = string(runes[:longestReply]) + "…"
	}
	return strconv.Itoa(reply.Code) + " " + text
}

// linksOf are the parts of a letter that open something.
func linksOf(l Letter) (links []string) {
	for _, link := range address.FindAllString(l.Text, -1) {
		links = append(links, link)
		link = strings.TrimRight(link, "/")
		if i := strings.LastIndexAny(link, "/?=#"); i >= 0 && len(link)-i > 16 {
			links = append(links, link[i+1:])
		}
	}
	return links
}
