package vault

import (
	"context"
	"strconv"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/store"
)

// How long the links live that administrators have made: that of a new account
// is for someone who may be away; that of a reset is for someone who waits.
const (
	firstPasswordLinkLife = 7 * 24 * time.Hour
	adminPasswordLinkLife = 24 * time.Hour
)

// CreateUser makes an account. Without a password the person chooses one by a
// link: see ResetUserPassword. For administrators.
func (v *Vault) CreateUser(ctx context.Context, p Principal, in api.CreateUser) (answer api.CreatedUser, err error) {
	if _, err := admit(p, ActionCreateUser); err != nil {
		return answer, err
	}
	user, err := v.userOf(ctx, in)
	if err != nil {
		return answer, err
	}
	err = v.administer(ctx, p, ActionCreateUser, func(ctx context.Context, tx store.Tx) (err error) {
		answer, err = once(ctx, v, tx, p, ActionCreateUser, in, func() (api.CreatedUser, error) {
			return v.insertUser(ctx, tx, p, user)
		})
		return err
	})
	return answer, err
}

// userOf checks what is asked for and makes a row of it.
func (v *Vault) userOf(ctx context.Context, in api.CreateUser) (*store.User, error) {
	email, problem := canonicalEmail(in.Email)
	if problem != "" {
		return nil, fault.InvalidField("body.email", problem)
	}
	if err := checkPersonNames(&in.FirstName, &in.LastName); err != nil {
		return nil, err
	}
	now := v.micros()
	user := &store.User{
		ID: newID(), Email: email, FirstName: in.FirstName, LastName: in.LastName,
		IsActive: true, IsSuperuser: in.IsSuperuser, CreatedAt: now, UpdatedAt: now,
	}
	if in.Password == nil {
		return user, nil
	}
	if problem := checkPassword(*in.Password, email); problem != "" {
		return nil, fault.InvalidField("body.password", problem)
	}
	var err error
	user.PasswordHash, err = v.hasher.hash(ctx, *in.Password)
	return user, err
}

func (v *Vault) insertUser(ctx context.Context, tx store.Tx, p Principal, user *store.User) (api.CreatedUser, error) {
	if err := v.insertAdmin(ctx, tx, user); err != nil {
		return api.CreatedUser{}, err
	}
	answer := api.CreatedUser{User: apiUser(&store.UserView{User: *user, HasPassword: user.PasswordHash != ""})}
	if !answer.HasPassword {
		link, err := v.passwordLink(ctx, tx, p, user, firstPasswordLinkLife, func(text string, expires time.Time) mail.Message {
			return mail.AccountCreated{CreatedBy: p.user.Email, Link: text, ExpiresAt: expires}
		})
		if err != nil {
			return answer, err
		}
		answer.PasswordLink = &link
	}
	detail := map[string]string{
		"is_superuser": strconv.FormatBool(user.IsSuperuser), "has_password": strconv.FormatBool(answer.HasPassword),
	}
	if answer.PasswordLink != nil {
		detail["link_shown"] = strconv.FormatBool(answer.PasswordLink.Link != nil)
	}
	return answer, v.record(ctx, tx, p, event{action: ActionCreateUser, target: user.Email, detail: detail})
}

// ResetUserPassword makes a link by which the person of an account chooses a new
// password, and sends it to the address. An administrator could open the account
// with it, and nobody would notice, so the answer holds it only on a server that
// can not send mail: there he has to pass it on. The present password and the
// sessions stay until it is used. For administrators; of their own account only if
// it has no password yet.
func (v *Vault) ResetUserPassword(ctx context.Context, p Principal, id string) (answer api.PasswordLink, err error) {
	err = v.onUser(ctx, p, ActionResetUserPassword, id, func(ctx context.Context, tx store.Tx, user *store.User) (err error) {
		if !user.IsActive {
			return fault.New(fault.Conflict, "This account is switched off. Switch it on before its person chooses a new password.")
		}
		if user.ID == p.user.ID && user.PasswordHash != "" {
			return errOwnPassword
		}
		answer, err = once(ctx, v, tx, p, ActionResetUserPassword, id, func() (api.PasswordLink, error) {
			return v.resetLink(ctx, tx, p, user)
		})
		return err
	})
	return answer, err
}

func (v *Vault) resetLink(ctx context.Context, tx store.Tx, p Principal, user *store.User) (api.PasswordLink, error) {
	link, err := v.passwordLink(ctx, tx, p, user, adminPasswordLinkLife, func(text string, expires time.Time) mail.Message {
		return mail.PasswordReset{Link: text, ExpiresAt: expires, IP: addressText(p.Request.IP), Administrator: p.user.Email}
	})
	if err != nil {
		return link, err
	}
	return link, v.record(ctx, tx, p, event{
		action: ActionResetUserPassword, target: user.Email, detail: map[string]string{"link_shown": strconv.FormatBool(link.Link != nil)},
	})
}

// passwordLink makes the one link by which a person can choose a new password,
// and mails it in the given words. The answer shows it if mail reaches nobody.
func (v *Vault) passwordLink(
	ctx context.Context, tx store.Tx, p Principal, user *store.User, life time.Duration, words func(link string, expires time.Time) mail.Message,
) (api.PasswordLink, error) {
	answer := api.PasswordLink{ExpiresAt: v.now().Add(life).UTC().Truncate(time.Microsecond)}
	token, err := v.newPasswordReset(ctx, tx, user, life)
	if err != nil {
		return answer, err
	}
	text, err := v.link(p, "/password-reset/"+token+"/")
	if err != nil {
		return answer, err
	}
	if !v.mailer().About().Delivers {
		answer.Link = new(api.NewValue(text))
	}
	return answer, v.queueMail(ctx, tx, user.Email, words(text, answer.ExpiresAt))
}
