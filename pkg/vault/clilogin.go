package vault

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// The command line signs in with a browser on the same machine. It listens on a
// loopback address and opens a page of the server; the person agrees there, and the
// browser goes back to the command line with a code. The code alone is worth nothing:
// ExchangeCLIToken wants the verifier to it, which never left the command line (RFC
// 8252, RFC 7636). So neither who sees the address nor another program on the machine
// gets the token, and what the browser was brought to by a stranger's link ends at
// the person's click.

// cliLoginLife is how long the code serves.
const cliLoginLife = time.Minute

// cliTextLength is 43 base62 characters: 256 bits. It is the length of codes and of
// device codes.
const cliTextLength = 43

// Bounds on what the command line says of itself.
const (
	maxCLIState = 256
	maxMachine  = 80
)

// CLILogin is what the command line has put into the address of the page, and what
// its form repeats.
type CLILogin struct {
	Callback      string // where the command line listens
	State         string // goes back to it as it is
	CodeChallenge string // RFC 7636, method S256
	Machine       string // its name; may be empty
}

// CLILoginView is what the person is asked.
type CLILoginView struct {
	// Listener is where the browser will go: "http://127.0.0.1:4711". The page shows
	// it, and its policy must let the form lead there.
	Listener  string
	TokenName string // of the token that will be made
}

// callbackForm is everything that a callback can be. It is compared letter by letter,
// rather than parsed: what parsers make of odd spellings differs.
var callbackForm = regexp.MustCompile(`^http://(?:localhost|127\.0\.0\.1|\[::1\]):([1-9][0-9]{0,4})/callback$`)

// listenerOf is the scheme, host and port of a callback, or "" if it is none.
func listenerOf(callback string) string {
	const path = "/callback"
	m := callbackForm.FindStringSubmatch(callback)
	if m == nil {
		return ""
	}
	if port, err := strconv.Atoi(m[1]); err != nil || port > 65535 {
		return ""
	}
	return callback[:len(callback)-len(path)]
}

// CheckCLILogin says what a sign-in of the command line asks of the person. What is
// wrong with it is fault.Invalid, for whoever asks: then nothing may lead to the
// callback. Only after that it is told whether the caller may agree: not unless he is
// signed in (fault.Unauthenticated), not with a token, nor while a second factor is due
// (fault.Forbidden). It changes nothing.
func (v *Vault) CheckCLILogin(p Principal, in CLILogin) (CLILoginView, error) {
	return admitCLILogin(p, &in, ActionApproveCLILogin)
}

func admitCLILogin(p Principal, in *CLILogin, a Action) (CLILoginView, error) {
	view, err := in.check()
	if err != nil {
		return CLILoginView{}, err
	}
	_, err = admit(p, a)
	return view, err
}

// check also gives the machine's name its form.
func (in *CLILogin) check() (CLILoginView, error) {
	listener := listenerOf(in.Callback)
	if listener == "" {
		return CLILoginView{}, fault.InvalidField("query.callback",
			"must be http://localhost:PORT/callback, or the same with 127.0.0.1 or [::1]. Sign in from a command line that is on this machine; elsewhere use `heartlock login --device`")
	}
	if n := len(in.State); n == 0 || n > maxCLIState || !plain(in.State) {
		return CLILoginView{}, fault.InvalidField("query.state", fmt.Sprintf("must be 1 to %d printable characters of ASCII", maxCLIState))
	}
	if !isChallenge(in.CodeChallenge) {
		return CLILoginView{}, fault.InvalidField("query.code_challenge", "must be a SHA-256 digest in base64url without padding: 43 characters (RFC 7636, S256)")
	}
	if err := checkMachine("query.machine", &in.Machine); err != nil {
		return CLILoginView{}, err
	}
	return CLILoginView{Listener: listener, TokenName: cliTokenName(in.Machine)}, nil
}

func isChallenge(text string) bool {
	digest, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(digest) == 32 && len(text) == 43
}

// checkMachine checks the name of a machine, and gives it its form.
func checkMachine(location string, machine *string) error {
	cleanNames(machine)
	if *machine == "" {
		return nil
	}
	problem := api.CheckName(*machine)
	if utf8.RuneCountInString(*machine) > maxMachine {
		problem = fmt.Sprintf("must have at most %d characters", maxMachine)
	}
	if problem != "" {
		return fault.InvalidField(location, problem)
	}
	return nil
}

// cliTokenName is the name of a token that the command line is given.
func cliTokenName(machine string) string {
	if machine == "" {
		return "heartlock command line"
	}
	return "heartlock on " + machine
}

// DefaultTokenDays is how long the token of a command line lives unless the person
// chooses otherwise: a machine that is given away or lost is not signed in for ever,
// and a team is not asked every week.
const DefaultTokenDays = 90

// TokenDays are the lifetimes that a person can choose from when he agrees, in days.
// For ever is not among them: a token without an end is made on purpose, in the
// account.
func TokenDays() []int { return []int{1, 7, 30, DefaultTokenDays, 365} }

// chosenDays checks a lifetime; 0 is the default.
func chosenDays(days int) (int, error) {
	switch {
	case days == 0:
		return DefaultTokenDays, nil
	case !slices.Contains(TokenDays(), days):
		return 0, fault.InvalidField("body.days", "must be 1, 7, 30, 90 or 365")
	}
	return days, nil
}

// ApproveCLILogin agrees to a sign-in of the command line. It returns where the browser
// has to go: the callback with a code, which serves once, within a minute, and no
// longer than the caller's session; and with the state. The address is not to be
// logged. days is one of TokenDays; 0 is the default.
//
// Only a person who is signed in agrees, never a token, and not while a second factor
// is due. It is recorded.
func (v *Vault) ApproveCLILogin(ctx context.Context, p Principal, in CLILogin, days int) (address api.Value, err error) {
	view, err := admitCLILogin(p, &in, ActionApproveCLILogin)
	if err != nil {
		return address, err
	}
	if days, err = chosenDays(days); err != nil {
		return address, err
	}
	code := randomBase62(cliTextLength)
	err = v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		now := v.micros()
		err := tx.InsertCLILogin(ctx, &store.CLILogin{
			Digest: digestOf(code), UserID: p.user.ID, SessionID: p.session.ID, CodeChallenge: in.CodeChallenge, Machine: in.Machine,
			LifetimeDays: days, CreatedAt: now, ExpiresAt: now + micros(cliLoginLife),
		})
		if err != nil {
			return err
		}
		return v.record(ctx, tx, p, event{
			action: ActionApproveCLILogin, target: view.TokenName,
			detail: map[string]string{"listener": view.Listener, "days": strconv.Itoa(days)},
		})
	})
	if err != nil {
		return address, err
	}
	return api.NewValue(in.answer(url.Values{"code": {code}})), nil
}

// DenyCLILogin says no to a sign-in of the command line, and returns where the browser
// has to go: the callback, which is told so (RFC 6749, section 4.1.2.1) and need not
// wait any longer. It is for the same callers as ApproveCLILogin, and recorded.
func (v *Vault) DenyCLILogin(ctx context.Context, p Principal, in CLILogin) (address string, err error) {
	view, err := admitCLILogin(p, &in, ActionDenyCLILogin)
	if err != nil {
		return "", err
	}
	err = v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		return v.record(ctx, tx, p, event{
			action: ActionDenyCLILogin, target: view.TokenName, detail: map[string]string{"listener": view.Listener},
		})
	})
	if err != nil {
		return "", err
	}
	return in.answer(url.Values{"error": {api.ErrorAccessDenied}}), nil
}

// answer is the callback with parameters and the state.
func (in *CLILogin) answer(parameters url.Values) string {
	parameters.Set("state", in.State)
	return in.Callback + "?" + parameters.Encode()
}
