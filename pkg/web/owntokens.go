package web

import (
	"errors"
	"strconv"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

const ownTokensPage = "/account/tokens/"

func ownTokenRoutes() []route {
	return []route{
		{method: get, pattern: ownTokensPage, action: vault.ActionListOwnTokens, serve: showOwnTokens},
		{method: post, pattern: ownTokensPage, action: vault.ActionCreateOwnToken, serve: createOwnToken},
		{method: post, pattern: ownTokensPage + "{token}/revoke/", action: vault.ActionRevokeOwnToken, serve: revokeOwnToken},
	}
}

// lifetime is a choice of how long a token lives.
type lifetime struct {
	Days int // 0: for ever
	Text string
}

// Value is what a form sends for the choice.
func (l lifetime) Value() string { return strconv.Itoa(l.Days) }

const day = 24 * time.Hour

// defaultLifetime is what a form proposes, in days.
const defaultLifetime = "90"

func lifetimes() []lifetime {
	return []lifetime{{7, "7 days"}, {30, "30 days"}, {90, "90 days"}, {365, "1 year"}, {0, "Never"}}
}

// expiry is the moment that a choice of lifetimes means; nil: never. It is the end of
// a day (UTC), so that a form that is sent twice means the same moment.
func expiry(choice string) (*time.Time, error) {
	for _, l := range lifetimes() {
		switch {
		case l.Value() != choice:
		case l.Days == 0:
			return nil, nil //nolint:nilnil // a token that does not expire
		default:
			at := now().Truncate(day).Add(time.Duration(l.Days+1) * day)
			return &at, nil
		}
	}
	return nil, fault.InvalidField("body.expires", "must be one of the choices")
}

type ownTokensData struct {
	accountNav
	Tokens    []ownToken
	Lifetimes []lifetime
	Default   string
	New       *newToken // just made
}

type ownToken struct {
	api.PersonalToken
	Expired bool
}

// newToken is a token that is shown this one time, and where it serves.
type newToken struct {
	Name, Text, Server string
	ExpiresAt          *time.Time
}

func showOwnTokens(v *visit) error { return v.showOwnTokens(nil) }

func (v *visit) showOwnTokens(made *newToken) error {
	nav, err := v.accountNav()
	if err != nil {
		return err
	}
	all, err := v.vault.OwnTokens(v, v.who)
	if err != nil {
		return err
	}
	data := ownTokensData{accountNav: nav, Lifetimes: lifetimes(), Default: defaultLifetime, New: made}
	for _, t := range all.Results {
		data.Tokens = append(data.Tokens, ownToken{t, t.ExpiresAt != nil && !t.ExpiresAt.After(now())})
	}
	return v.show(page{Template: "own-tokens", Title: "Personal tokens", Section: "tokens", Data: data})
}

func createOwnToken(v *visit) error {
	expires, err := expiry(v.text("expires"))
	if err != nil {
		return v.again(err, showOwnTokens)
	}
	created, err := v.vault.CreateOwnToken(v, v.who, api.CreatePersonalToken{Name: v.text("name"), ExpiresAt: expires})
	if err != nil {
		return v.again(err, showOwnTokens)
	}
	return v.showOwnTokens(&newToken{created.Name, created.Token.Reveal(), v.address(), created.ExpiresAt})
}

func revokeOwnToken(v *visit) error {
	if err := v.vault.RevokeOwnToken(v, v.who, v.path("token")); err != nil && !errors.Is(err, fault.NotFound) {
		return err
	}
	return v.done(ownTokensPage, "token-revoked")
}
