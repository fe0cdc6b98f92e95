package mail

import (
	"bytes"
	netmail "net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/heartlock/heartlock/pkg/fault"
)

// Letter is a mail that is ready to be sent.
type Letter struct {
	Content
	// ID makes the Message-ID: a letter that is sent twice, because nobody could
	// tell whether the first time had worked, has the same both times, and many
	// mail systems show it once.
	ID   string
	From netmail.Address
	To   string // one address
	Date time.Time
	// Domain stands in the Message-ID.
	Domain string
}

// encode makes the message in the form of RFC 5322, with lines that end in CRLF.
func (l Letter) encode() ([]byte, error) {
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := m.FromFormat(l.From.Name, l.From.Address); err != nil {
		return nil, fault.Wrap(fault.Usage, err, "The sender's address (DEFAULT_FROM_EMAIL) is not a valid one.")
	}
	if err := m.AddToFormat("", l.To); err != nil {
		return nil, permanent(fault.New(fault.Invalid, "The recipient's address is not a valid one."))
	}
	m.Subject(oneLine(withoutControls(l.Subject)))
	m.SetDateWithValue(l.Date)
	m.SetMessageIDWithValue(l.ID + "@" + l.Domain)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: nobody's holiday answers it
	m.SetGenHeader("X-Auto-Response-Suppress", "All")  // the same for Exchange
	m.SetBodyString(gomail.TypeTextPlain, l.Text)
	m.AddAlternativeString(gomail.TypeTextHTML, l.HTML)
	var out bytes.Buffer
	if _, err := m.WriteTo(&out); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "a mail could not be encoded")
	}
	return out.Bytes(), nil
}

// withoutControls keeps control characters out of a header, also those that an
// encoding would carry through.
func withoutControls(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}
