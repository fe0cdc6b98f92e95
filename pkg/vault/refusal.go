package vault

import (
	"context"
	"errors"

	"github.com/heartlock/heartlock/pkg/fault"
)

// refused is a refusal that knows what was refused. For everybody who looks at the
// error it is the fault in it.
type refused struct {
	event    event
	cause    error
	recorded bool // the operation itself has recorded it
}

func (r *refused) Error() string { return r.cause.Error() }

func (r *refused) Unwrap() error { return r.cause }

// refuseAction says which action an error refuses.
func refuseAction(a Action, err error) error { return &refused{event: event{action: a}, cause: err} }

// refusedIn adds to a refusal where it was: in which project, environment (slug)
// and on what. Only what the caller can see may be named.
func refusedIn(err error, projectID, environment, target string) error {
	if r := (*refused)(nil); errors.As(err, &r) {
		r.event.projectID, r.event.environment, r.event.target = projectID, environment, target
	}
	return err
}

// refusedOn adds to a refusal that knows where it was on what it was.
func refusedOn(err error, target string) error {
	if r := (*refused)(nil); errors.As(err, &r) && r.event.projectID != "" {
		r.event.target = target
	}
	return err
}

// RecordRefusal records that a known caller was refused an action because of who
// he is: his role is too low, his token is not for that, only administrators or
// only somebody with a session may. Whoever answers a caller calls it once, with
// the action that was asked for and the error that is about to be answered; every
// other error, and the refusal of somebody unknown, is left alone. What the caller
// can not see is not found, which is no refusal and recorded nowhere.
//
// The caller is refused in any case, also if that can not be recorded.
func (v *Vault) RecordRefusal(ctx context.Context, p Principal, a Action, err error) error {
	if err == nil || !errors.Is(err, fault.Forbidden) || p.IsAnonymous() {
		return nil
	}
	e := event{action: a}
	if r := (*refused)(nil); errors.As(err, &r) {
		if r.recorded {
			return nil
		}
		e = r.event
	}
	if e.projectID == "" && p.IsService() {
		e.projectID = p.token.projectID // who looks after the token has to know
	}
	e.outcome = outcomeRefused
	return v.recordRead(ctx, p, e)
}
