package vault

import (
	"context"
	"errors"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/store"
)

// SecondFactorDemand says whose account must have a second factor.
type SecondFactorDemand string

// The demands. An account without a password is under none of them: who signs in
// through an identity provider proves there who he is.
const (
	SecondFactorOptional   SecondFactorDemand = "none"
	SecondFactorSuperusers SecondFactorDemand = "superusers"
	SecondFactorEveryone   SecondFactorDemand = "everyone"
)

// Refusals of sign-ins to accounts with a second factor. They are for who knows
// the password only.
var (
	errCodeMissing = &fault.Error{
		Kind: fault.Unauthenticated, SecondFactor: true,
		Message: "This account has a second factor. Send the code of the authenticator app, or a recovery code.",
	}
	errCodeWrong = &fault.Error{Kind: fault.Unauthenticated, SecondFactor: true, Message: errBadLogin.Message}
)

var (
	errNoFactor  = fault.New(fault.Conflict, "Your account has no second factor.")
	errHasFactor = fault.New(fault.Conflict, "Your account has a second factor already. Disable it first to set up another one.")
	errSSOFactor = fault.New(fault.Conflict, "Your account has no password. You sign in through the identity provider, which can ask for a second factor.")
)

// demandsFactor reports whether an account must have a second factor.
func (v *Vault) demandsFactor(user *store.User) bool {
	if user.PasswordHash == "" {
		return false
	}
	return v.factorDemand == SecondFactorEveryone || v.factorDemand == SecondFactorSuperusers && user.IsSuperuser
}

// lacksFactor reports whether an account must have a second factor and has none.
func (v *Vault) lacksFactor(ctx context.Context, user *store.User) (bool, error) {
	if !v.demandsFactor(user) {
		return false, nil
	}
	has, err := v.store.HasSecondFactor(ctx, user.ID)
	return !has, err
}

// openFactor is the secret of a second factor.
func (v *Vault) openFactor(f *store.SecondFactor) (string, error) {
	ring := v.currentRing()
	if ring == nil {
		return "", errNoKey
	}
	secret, err := ring.OpenText(f.Sealed, f.KeyFingerprint)
	switch {
	case err != nil && !ring.Has(f.KeyFingerprint):
		return "", errKeyNotHere(f.KeyFingerprint, err)
	case err != nil:
		return "", fault.Wrap(fault.Internal, err, "The stored secret of the second factor can not be decrypted. Run `heartlock check` on the server.")
	}
	return secret, nil
}

// askForFactor checks the second factor of a sign-in, in its transaction, with the
// account's row locked. Accounts that have none pass.
func (v *Vault) askForFactor(ctx context.Context, tx store.Tx, r Request, user *store.User, code api.Value) error {
	f, err := tx.SecondFactor(ctx, user.ID)
	switch {
	case errors.Is(err, fault.NotFound), err == nil && f.ConfirmedAt == nil:
		return nil
	case err != nil:
		return err
	case code.Len() == 0:
		return errCodeMissing
	}
	ok, err := v.useCode(ctx, tx, r, user, f, code)
	if err == nil && !ok {
		err = errCodeWrong
	}
	return err
}

// useCode uses up a code of the app or a recovery code; each serves once, on
// whichever server. The person is told of a recovery code.
func (v *Vault) useCode(ctx context.Context, tx store.Tx, r Request, user *store.User, f *store.SecondFactor, code api.Value) (ok bool, err error) {
	secret, err := v.openFactor(f)
	if err != nil {
		return false, err
	}
	now, normal := v.now(), normalCode(code)
	if isTOTPCode(normal) {
		step, ok := stepOfCode(secret, normal, now)
		if !ok {
			return false, nil
		}
		return was(tx.UseStep(ctx, user.ID, step))
	}
	ok, err = was(tx.UseRecoveryCode(ctx, user.ID, recoveryDigest(secret, normal), store.MicrosOf(now)))
	if ok {
		err = v.tellOfFactor(ctx, tx, r, user, "recovery_code")
	}
	return ok, err
}

// was turns the result of a conditional change into whether it was made.
func was(err error) (bool, error) {
	if errors.Is(err, fault.NotFound) {
		return false, nil
	}
	return err == nil, err
}

func (v *Vault) tellOfFactor(ctx context.Context, tx store.Tx, r Request, user *store.User, change string) error {
	return v.notify(ctx, tx, user.Email, mail.SecondFactorChanged{Change: change, At: v.now().UTC(), IP: addressText(r.IP)})
}

// tellOfGuessedCodes tells a person that somebody knows his password, and has sent
// wrong codes until he was stopped.
func (v *Vault) tellOfGuessedCodes(ctx context.Context, tx store.Tx, r Request, email string) error {
	return v.notify(ctx, tx, email, mail.SecondFactorChanged{Change: "codes_refused", At: v.now().UTC(), IP: addressText(r.IP)})
}

// clearFactor takes an account's second factor away, if it has one, and tells its
// person.
func (v *Vault) clearFactor(ctx context.Context, tx store.Tx, r Request, user *store.User) (cleared bool, err error) {
	if cleared, err = was(tx.DeleteSecondFactor(ctx, user.ID)); err != nil || !cleared {
		return false, err
	}
	return true, v.tellOfFactor(ctx, tx, r, user, "disabled")
}

// SecondFactor tells the caller how his second factor stands.
func (v *Vault) SecondFactor(ctx context.Context, p Principal) (state api.SecondFactorState, err error) {
	if _, err := admit(p, ActionReadSecondFactor); err != nil {
		return state, err
	}
	state.Required = v.demandsFactor(p.user)
	if state.Enabled, err = v.store.HasSecondFactor(ctx, p.user.ID); err != nil || !state.Enabled {
		return state, err
	}
	state.RecoveryCodesLeft, err = v.store.CountRecoveryCodes(ctx, p.user.ID)
	return state, err
}

// SetUpSecondFactor makes the secret that the caller's authenticator app needs. It
// takes the place of one that was not confirmed, and has no effect before
// ConfirmSecondFactor.
func (v *Vault) SetUpSecondFactor(ctx context.Context, p Principal, in api.SecondFactorProof) (setup api.SecondFactorSetup, err error) {
	if _, err := admit(p, ActionSetUpSecondFactor); err != nil {
		return setup, err
	}
	if p.user.PasswordHash == "" {
		return setup, errSSOFactor
	}
	if err := v.provePassword(ctx, p, ActionSetUpSecondFactor, "body.password", in.Password); err != nil {
		return setup, err
	}
	key, err := newTOTPKey(p.user.Email)
	if err != nil {
		return setup, err
	}
	err = v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		if _, err := stillHas(ctx, tx, p.user.ID, p.user.PasswordHash, errBadSession); err != nil {
			return err
		}
		s, err := v.sealer(ctx, tx, "")
		if err != nil {
			return err
		}
		sealed, fingerprint, err := s.seal(api.NewValue(key.Secret()))
		if err != nil {
			return err
		}
		err = tx.PutSecondFactor(ctx, &store.SecondFactor{UserID: p.user.ID, Sealed: sealed, KeyFingerprint: fingerprint, CreatedAt: v.micros()})
		if errors.Is(err, fault.NotFound) {
			return errHasFactor
		}
		if err != nil {
			return err
		}
		return v.record(ctx, tx, p, event{action: ActionSetUpSecondFactor, target: p.user.Email})
	})
	return api.SecondFactorSetup{Secret: api.NewValue(key.Secret()), URI: api.NewValue(key.URL())}, err
}

// changeOfFactor is what is done with a person's second factor, in a transaction.
type changeOfFactor func(context.Context, store.Tx, *store.User, *store.SecondFactor) error

// withFactor runs a change of the caller's second factor, with his row locked: one
// at a time.
func (v *Vault) withFactor(ctx context.Context, p Principal, a Action, do changeOfFactor) error {
	return v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
		user, err := stillHas(ctx, tx, p.user.ID, p.user.PasswordHash, errBadSession)
		if err != nil {
			return err
		}
		f, err := tx.SecondFactor(ctx, user.ID)
		if errors.Is(err, fault.NotFound) {
			return errNoFactor
		}
		if err != nil {
			return err
		}
		if err := do(ctx, tx, user, f); err != nil {
			return err
		}
		return v.record(ctx, tx, p, event{action: a, target: user.Email})
	})
}

// withCode is withFactor for a change that a code is sent for.
func (v *Vault) withCode(ctx context.Context, p Principal, a Action, do changeOfFactor) error {
	return v.guessCode(ctx, p, a, func() error { return v.withFactor(ctx, p, a, do) })
}

// guessCode runs what a code is sent for from within a session. One that it
// refuses by errWrongCode is recorded, and counted.
func (v *Vault) guessCode(ctx context.Context, p Principal, a Action, do func() error) error {
	t, err := v.beginTrial(ctx, p, a, codeSubject(p.user.ID))
	if err != nil {
		return err
	}
	err = do()
	wrong := errors.Is(err, errWrongCode)
	if wrong {
		if failure := v.recordRead(ctx, p, event{action: a, outcome: outcomeRefused, target: p.user.Email}); failure != nil {
			err = failure
		}
	}
	return t.finish(ctx, err, wrong)
}

var errWrongCode = fault.InvalidField("body.code", "is not a code that serves now; each code serves once")

// ConfirmSecondFactor has the caller's second factor asked for from his next
// sign-in on, once a code shows that his app has the secret. His other sessions end:
// they began without it. The recovery codes are in this answer only.
func (v *Vault) ConfirmSecondFactor(ctx context.Context, p Principal, in api.SecondFactorCode) (answer api.RecoveryCodes, err error) {
	if _, err := admit(p, ActionConfirmSecondFactor); err != nil {
		return answer, err
	}
	err = v.withCode(ctx, p, ActionConfirmSecondFactor, func(ctx context.Context, tx store.Tx, user *store.User, f *store.SecondFactor) error {
		if f.ConfirmedAt != nil {
			return errHasFactor
		}
		if !isTOTPCode(normalCode(in.Code)) {
			return errWrongCode
		}
		if ok, err := v.useCode(ctx, tx, p.Request, user, f, in.Code); err != nil || !ok {
			return orWrongCode(err)
		}
		if err := tx.ConfirmSecondFactor(ctx, user.ID, v.micros()); err != nil {
			return err
		}
		if err := tx.DeleteOtherSessions(ctx, user.ID, p.SessionID()); err != nil {
			return err
		}
		if answer, err = v.replaceRecoveryCodes(ctx, tx, f); err != nil {
			return err
		}
		return v.tellOfFactor(ctx, tx, p.Request, user, "enabled")
	})
	return onSuccess(answer, err)
}

func orWrongCode(err error) error {
	if err == nil {
		err = errWrongCode
	}
	return err
}

// onSuccess keeps an answer from going out beside an error.
func onSuccess[T any](answer T, err error) (T, error) {
	if err != nil {
		return *new(T), err
	}
	return answer, nil
}

func (v *Vault) replaceRecoveryCodes(ctx context.Context, tx store.Tx, f *store.SecondFactor) (api.RecoveryCodes, error) {
	secret, err := v.openFactor(f)
	if err != nil {
		return api.RecoveryCodes{}, err
	}
	codes, digests := newRecoveryCodes(secret)
	return api.RecoveryCodes{Codes: codes}, tx.ReplaceRecoveryCodes(ctx, f.UserID, digests)
}

// RenewRecoveryCodes gives the caller new recovery codes in place of all former
// ones, and tells him by mail. It needs the password and a code: whoever gets
// recovery codes for a password alone would need no second factor any more.
func (v *Vault) RenewRecoveryCodes(ctx context.Context, p Principal, in api.SecondFactorProof) (answer api.RecoveryCodes, err error) {
	if _, err := admit(p, ActionRenewRecoveryCodes); err != nil {
		return answer, err
	}
	err = v.withBoth(ctx, p, ActionRenewRecoveryCodes, in, func(ctx context.Context, tx store.Tx, user *store.User, f *store.SecondFactor) (err error) {
		if answer, err = v.replaceRecoveryCodes(ctx, tx, f); err != nil {
			return err
		}
		return v.tellOfFactor(ctx, tx, p.Request, user, "recovery_codes_renewed")
	})
	return onSuccess(answer, err)
}

// DisableSecondFactor has the caller's second factor not asked for any more. It
// needs both: neither a session and a password that were stolen nor a lost phone
// is enough.
func (v *Vault) DisableSecondFactor(ctx context.Context, p Principal, in api.SecondFactorProof) error {
	if _, err := admit(p, ActionDisableSecondFactor); err != nil {
		return err
	}
	return v.withBoth(ctx, p, ActionDisableSecondFactor, in, func(ctx context.Context, tx store.Tx, user *store.User, _ *store.SecondFactor) error {
		if err := tx.DeleteSecondFactor(ctx, user.ID); err != nil {
			return err
		}
		return v.tellOfFactor(ctx, tx, p.Request, user, "disabled")
	})
}

// withBoth is withFactor for a change that takes the password and a code.
func (v *Vault) withBoth(ctx context.Context, p Principal, a Action, in api.SecondFactorProof, do changeOfFactor) error {
	if err := v.provePassword(ctx, p, a, "body.password", in.Password); err != nil {
		return err
	}
	return v.withCode(ctx, p, a, func(ctx context.Context, tx store.Tx, user *store.User, f *store.SecondFactor) error {
		if f.ConfirmedAt == nil {
			return errNoFactor
		}
		if ok, err := v.useCode(ctx, tx, p.Request, user, f, in.Code); err != nil || !ok {
			return orWrongCode(err)
		}
		return do(ctx, tx, user, f)
	})
}

// proveCode makes sure that who is signed in has the second factor too, if his
// account has one, for what opens a further way into it. The code is used up.
func (v *Vault) proveCode(ctx context.Context, p Principal, a Action, code api.Value) error {
	has, err := v.store.HasSecondFactor(ctx, p.user.ID)
	switch {
	case err != nil || !has:
		return err
	case code.Len() == 0:
		return fault.InvalidField("body.code", "is needed: your account has a second factor")
	}
	return v.guessCode(ctx, p, a, func() error {
		return v.write(ctx, p, func(ctx context.Context, tx store.Tx) error {
			f, err := tx.SecondFactor(ctx, p.user.ID)
			if errors.Is(err, fault.NotFound) {
				return errNoFactor
			}
			if err != nil {
				return err
			}
			if ok, err := v.useCode(ctx, tx, p.Request, p.user, f, code); err != nil || !ok {
				return orWrongCode(err)
			}
			return nil
		})
	})
}
