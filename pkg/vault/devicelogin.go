package vault

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// Where there is no browser beside it, the command line signs in by a code that a
// person types into one elsewhere (RFC 8628). It begins with BeginDevice; the person
// looks at what he types the code of, and agrees or not; meanwhile the command line
// asks ExchangeCLIToken again and again.
//
// Anybody can begin, and send the code to somebody else: so the person is shown where
// it came from before he agrees, and gets a mail if his account is used from there for
// the first time.

// Times of a device authorization.
const (
	deviceLife     = 10 * time.Minute
	deviceInterval = 5 * time.Second
	// deviceJitter is how much too early the command line may ask: the network does not
	// take the same time for every request.
	deviceJitter = time.Second
)

// devicesBegunInNetwork bounds, within deviceLife, the rows that anybody can have made.
const devicesBegunInNetwork = 100

// The code that a person types is of the letters that RFC 8628, section 6.1, proposes:
// no vowels, so that it is no word, and no digits, which letters are mistaken for.
// There are 20^8 codes, 34 bits; who guesses has five attempts in a quarter of an
// hour (userCodeSubject) at codes that serve for ten minutes.
const (
	userCodeAlphabet = "BCDFGHJKLMNPQRSTVWXZ"
	userCodeLength   = 8
)

var errNoDevice = fault.New(fault.NotFound,
	"No command line waits with this code. Compare it letter by letter; if it is right, it has expired or was decided on: start `heartlock login --device` again.")

// DeviceRequest is what a person is asked to agree to. All but the times and the code is
// what somebody unknown says of himself.
type DeviceRequest struct {
	UserCode  string // two groups of four letters, as in BCDF-GHJK
	Machine   string // may be empty
	TokenName string // of the token that will be made
	IP        string
	UserAgent string
	CreatedAt time.Time
	ExpiresAt time.Time
}

// BeginDevice begins a sign-in by a code that a person types into a browser elsewhere.
// It needs no credential. It is fault.Invalid if the server does not know the public
// address at which the person will open the page; if too many were begun from the
// network, it is fault.TooManyRequests for a while. It is not recorded: what becomes of
// it is.
func (v *Vault) BeginDevice(ctx context.Context, p Principal, in api.BeginDevice) (answer api.DeviceAuthorization, err error) {
	if _, err := admit(p, ActionBeginDevice); err != nil {
		return answer, err
	}
	if err := checkMachine("body.machine", &in.Machine); err != nil {
		return answer, err
	}
	page, err := v.link(p, "/device/")
	if err != nil {
		return answer, err
	}
	// What was begun counts, whatever becomes of it: the trial has no end.
	if _, err := v.beginTrial(ctx, p, ActionBeginDevice, deviceSubject(p)); err != nil {
		return answer, err
	}
	deviceCode, userCode := randomBase62(cliTextLength), newUserCode()
	now := v.micros()
	err = v.store.Write(ctx, func(ctx context.Context, tx store.Tx) error {
		return tx.InsertDeviceLogin(ctx, &store.DeviceLogin{
			DeviceDigest: digestOf(deviceCode), UserCodeDigest: userCodeDigest(v.sessionKeys[0], userCode), Machine: in.Machine,
			IP: addressText(p.Request.IP), UserAgent: clip(p.Request.UserAgent), State: store.DevicePending, CreatedAt: now, ExpiresAt: now + micros(deviceLife),
		})
	})
	if errors.Is(err, fault.Conflict) { // the code is taken: one of 25,600,000,000
		return answer, fault.Wrap(fault.Unavailable, err, "The server could not make a code. Try again.")
	}
	shown := shownUserCode(userCode)
	return api.DeviceAuthorization{
		DeviceCode: api.NewValue(deviceCode), UserCode: shown,
		VerificationURI: page, VerificationURIComplete: page + "?" + url.Values{"user_code": {shown}}.Encode(),
		ExpiresIn: int(deviceLife / time.Second), Interval: int(deviceInterval / time.Second),
	}, err
}

func deviceSubject(p Principal) subject {
	return subject{
		name: "device-network:" + networkName(p.Request.IP),
		rule: store.ThrottleRule{Limit: devicesBegunInNetwork, Window: micros(deviceLife)},
	}
}

// userCodeSubject counts the codes that a person types. It is counted by account, so
// that nobody outside can keep him from it. A right code forgets no wrong ones: who
// guesses those of others would type some of his own in between.
func userCodeSubject(p Principal) subject {
	return subject{name: "device-code:" + p.user.ID, about: p.user.Email, rule: guesses(guessesOfAccount)}
}

// newUserCode makes a code of letters with the same chance each: bytes of 240 and
// more, which would favour the first, are thrown away.
func newUserCode() string {
	const fair = 256 - 256%len(userCodeAlphabet)
	code, buffer := make([]byte, 0, userCodeLength), make([]byte, userCodeLength)
	for len(code) < userCodeLength {
		_, _ = rand.Read(buffer) // never fails: crypto/rand ends the program instead
		for _, c := range buffer {
			if int(c) < fair && len(code) < userCodeLength {
				code = append(code, userCodeAlphabet[int(c)%len(userCodeAlphabet)])
			}
		}
	}
	return string(code)
}

func shownUserCode(code string) string {
	return code[:userCodeLength/2] + "-" + code[userCodeLength/2:]
}

// typedUserCode is the code that somebody has typed, however he parted it; "" if it can
// be none.
func typedUserCode(text string) string {
	if len(text) > 4*userCodeLength {
		return ""
	}
	code := strings.ToUpper(strings.NewReplacer("-", "", " ", "", "\t", "").Replace(text))
	if len(code) != userCodeLength || strings.Trim(code, userCodeAlphabet) != "" {
		return ""
	}
	return code
}

// userCodeDigest is what is stored of a code that a person types. It has a key: the
// code is so short that from a plain digest it would be found at once.
func userCodeDigest(key []byte, code string) []byte { return derive(key, "device user code", code) }

// DeviceRequest finds the command line that waits with a code, for the person to look
// at before he agrees. The code may be typed in any case, with or without its hyphen.
//
// No command line that waits with it is fault.NotFound, what can be no code is
// fault.Invalid. After five wrong codes within a quarter of an hour it is
// fault.TooManyRequests; those to ApproveDevice and DenyDevice count alike. All three
// are for a person who is signed in, not for tokens, and not while a second factor is
// due.
func (v *Vault) DeviceRequest(ctx context.Context, p Principal, userCode string) (request DeviceRequest, err error) {
	err = v.withDevice(ctx, p, ActionReadDevice, userCode, func(row *store.DeviceLogin, code string) error {
		request = DeviceRequest{
			UserCode: shownUserCode(code), Machine: row.Machine, TokenName: cliTokenName(row.Machine), IP: row.IP, UserAgent: row.UserAgent,
			CreatedAt: row.CreatedAt.Time(), ExpiresAt: row.ExpiresAt.Time(),
		}
		return nil
	})
	return request, err
}

// ApproveDevice agrees: the command line that waits with the code gets a personal token
// of the caller's when it asks next, unless his session has ended by then. days is one
// of TokenDays; 0 is the default. See DeviceRequest for the refusals. It is recorded.
func (v *Vault) ApproveDevice(ctx context.Context, p Principal, userCode string, days int) error {
	days, err := chosenDays(days)
	if err != nil {
		return err
	}
	return v.withDevice(ctx, p, ActionApproveDevice, userCode, func(row *store.DeviceLogin, _ string) error {
		row.State, row.UserID, row.SessionID, row.LifetimeDays = store.DeviceApproved, &p.user.ID, &p.session.ID, days
		return v.decideDevice(ctx, p, row, event{action: ActionApproveDevice, detail: map[string]string{"days": strconv.Itoa(days)}})
	})
}

// DenyDevice says no: the command line that waits with the code is told so. See
// DeviceRequest for the refusals. It is recorded.
func (v *Vault) DenyDevice(ctx context.Context, p Principal, userCode string) error {
	return v.withDevice(ctx, p, ActionDenyDevice, userCode, func(row *store.DeviceLogin, _ string) error {
		row.State = store.DeviceDenied
		return v.decideDevice(ctx, p, row, event{action: ActionDenyDevice})
	})
}

// decideDevice writes a decision, unless another one was faster.
func (v *Vault) decideDevice(ctx context.Context, p Principal, row *store.DeviceLogin, e event) error {
	e.target = cliTokenName(row.Machine)
	e.detail = with(with(e.detail, "client_ip", row.IP), "client_user_agent", row.UserAgent)
	return v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		err := tx.DecideDeviceLogin(ctx, row, v.micros())
		if errors.Is(err, fault.NotFound) {
			return errNoDevice
		}
		if err != nil {
			return err
		}
		return v.record(ctx, tx, p, e)
	})
}

// withDevice finds the command line that waits with a code, and counts who finds none.
func (v *Vault) withDevice(ctx context.Context, p Principal, a Action, userCode string, do func(row *store.DeviceLogin, code string) error) error {
	if _, err := admit(p, a); err != nil {
		return err
	}
	code := typedUserCode(userCode)
	if code == "" {
		return fault.InvalidField("body.user_code", "must be the eight letters that the command line shows, such as BCDF-GHJK")
	}
	t, err := v.beginTrial(ctx, p, a, userCodeSubject(p))
	if err != nil {
		return err
	}
	row, err := v.waitingDevice(ctx, code)
	if err == nil {
		err = do(row, code)
	}
	return t.finish(ctx, err, errors.Is(err, fault.NotFound))
}

func (v *Vault) waitingDevice(ctx context.Context, code string) (*store.DeviceLogin, error) {
	for _, key := range v.sessionKeys {
		row, err := v.store.PendingDeviceLogin(ctx, userCodeDigest(key, code), v.micros())
		if !errors.Is(err, fault.NotFound) {
			return row, err
		}
	}
	return nil, errNoDevice
}
