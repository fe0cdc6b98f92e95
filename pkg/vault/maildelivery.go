package vault

import (
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/mail"
	"github.com/heartlock/heartlock/pkg/store"
)

// How the queue of mails is worked through.
const (
	// firstRetry is the pause after the first failure of a mail; each further one
	// doubles it, up to longestRetry.
	firstRetry   = time.Minute
	longestRetry = time.Hour
	// mailPatience is how old a mail becomes before it is given up.
	mailPatience = 3 * 24 * time.Hour
	// mailMemory is how long it is remembered that a mail was sent or given up.
	mailMemory = 30 * 24 * time.Hour
	// claimMargin is what a claim lives longer than sending takes at most.
	claimMargin = time.Minute
	// lastMail is how long a mail that is being sent may go on when the server stops.
	lastMail = 20 * time.Second
	// noteTimeout bounds the noting of what has become of a mail.
	noteTimeout = 30 * time.Second
)

// Delivery is what a call of DeliverMail has done.
type Delivery struct {
	Sent    int
	Failed  int // are tried again later
	GivenUp int
}

// DeliverMail sends the mails that are due, one after the other, over one
// connection if that carries them. It ends when none is due, when the mail server
// can not be used, which is the error, or when ctx ends; a mail that is being
// sent then has a little more time.
//
// Any number of servers may do this at the same time: each mail is claimed by one
// of them. One that dies between sending a mail and noting it leaves the mail to
// be sent once more, after the claim has run out: mail arrives at least once, and
// the second copy has the same Message-ID.
func (v *Vault) DeliverMail(ctx context.Context) (Delivery, error) {
	round := &deliveryRound{vault: v}
	defer round.close()
	sending, stop := lingering(ctx, lastMail)
	defer stop()
	for ctx.Err() == nil && v.Fingerprint() != "" {
		due, err := v.store.IsMailDue(ctx, v.micros())
		if err != nil || !due {
			return round.done, err
		}
		claim, err := v.claimMail(ctx)
		if err != nil || claim == nil {
			return round.done, err
		}
		if err := round.deliver(sending, claim); err != nil {
			return round.done, err
		}
	}
	return round.done, nil
}

// lingering is a context that ends some time after ctx.
func lingering(ctx context.Context, longer time.Duration) (context.Context, context.CancelFunc) {
	after, cancel := context.WithCancel(context.WithoutCancel(ctx))
	release := context.AfterFunc(ctx, func() {
		select {
		case <-after.Done():
		case <-time.After(longer):
			cancel()
		}
	})
	return after, func() {
		release()
		cancel()
	}
}

func (v *Vault) claimMail(ctx context.Context) (claim *store.QueuedMail, err error) {
	now := v.now()
	until := now.Add(v.mailer().Budget() + noteTimeout + claimMargin)
	err = v.store.Write(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		claim, err = tx.ClaimMail(ctx, store.MicrosOf(now), store.MicrosOf(until))
		return err
	})
	return claim, err
}

// deliveryRound is one walk through the queue.
type deliveryRound struct {
	vault      *Vault
	connection mail.Connection
	done       Delivery
}

func (r *deliveryRound) close() {
	if r.connection != nil {
		r.connection.Close()
	}
	r.connection = nil
}

// deliver brings a claim to its end. An error means that the round can not go on.
func (r *deliveryRound) deliver(ctx context.Context, claim *store.QueuedMail) error {
	letter, err := r.vault.letter(claim)
	switch {
	case errors.Is(err, fault.Unavailable): // the key is on its way to this server
		return errors.Join(err, r.vault.noteMail(ctx, func(ctx context.Context, tx store.Tx) error {
			return tx.MailPutBack(ctx, claim, store.MicrosOf(r.vault.now().Add(firstRetry)))
		}))
	case err != nil:
		return r.giveUp(ctx, claim, err.Error())
	}
	if r.connection == nil {
		if r.connection, err = r.vault.mailer().Open(ctx, nil); err != nil {
			return errors.Join(err, r.retry(ctx, claim, err))
		}
	}
	err = r.connection.Send(ctx, letter)
	if err != nil && !r.connection.Usable() {
		r.close()
	}
	switch {
	case err == nil:
		r.done.Sent++
		return r.vault.noteMail(ctx, func(ctx context.Context, tx store.Tx) error { return tx.MailSent(ctx, claim, r.vault.micros()) })
	case mail.IsPermanent(err):
		return r.giveUp(ctx, claim, err.Error())
	}
	return r.retry(ctx, claim, err)
}

// letter opens a mail that waits and words it. That it can not be opened for the
// lack of a key is fault.Unavailable; any other error speaks for giving it up.
func (v *Vault) letter(claim *store.QueuedMail) (mail.Letter, error) {
	message, err := v.openMail(claim)
	if err != nil {
		return mail.Letter{}, err
	}
	if expiring, ok := message.(mail.Expiring); ok && !v.now().Before(expiring.Expires()) {
		return mail.Letter{}, fault.New(fault.Gone, "It was not sent in time: what it tells of ended at "+expiring.Expires().UTC().Format("2006-01-02 15:04 UTC")+".")
	}
	letter, err := v.mailer().Letter(claim.ID, claim.Recipient, *v.appURL.Load(), message)
	if err != nil {
		return letter, fault.Wrap(fault.Internal, err, "It can not be put into words: a defect of Heartlock.")
	}
	return letter, nil
}

func (v *Vault) openMail(claim *store.QueuedMail) (mail.Message, error) {
	ring := v.currentRing()
	if ring == nil {
		return nil, errNoKey
	}
	text, err := ring.OpenText(*claim.Sealed, claim.KeyFingerprint)
	switch {
	case err != nil && !ring.Has(claim.KeyFingerprint):
		return nil, errKeyNotHere(claim.KeyFingerprint, err)
	case err != nil:
		return nil, fault.Wrap(fault.Internal, err, "It can not be decrypted: it is damaged.")
	}
	message, err := mail.Decode(claim.Kind, []byte(text))
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "It can not be read: it is of another version of Heartlock, or damaged.")
	}
	return message, nil
}

// retry notes that an attempt has failed. A mail that has waited for too long is
// given up.
func (r *deliveryRound) retry(ctx context.Context, claim *store.QueuedMail, why error) error {
	now := r.vault.now()
	if now.Sub(claim.CreatedAt.Time()) >= mailPatience {
		return r.giveUp(ctx, claim, why.Error()+" It was tried for three days.")
	}
	r.done.Failed++
	return r.vault.noteMail(ctx, func(ctx context.Context, tx store.Tx) error {
		return tx.MailFailed(ctx, claim, store.MicrosOf(now.Add(retryPause(claim.Attempts))), why.Error())
	})
}

func (r *deliveryRound) giveUp(ctx context.Context, claim *store.QueuedMail, why string) error {
	r.done.GivenUp++
	return r.vault.noteMail(ctx, func(ctx context.Context, tx store.Tx) error {
		return tx.MailGivenUp(ctx, claim, r.vault.micros(), why)
	})
}

// noteMail ends a claim. One that was lost to another server is that server's.
func (v *Vault) noteMail(ctx context.Context, note func(context.Context, store.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	err := v.store.Write(ctx, note)
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// retryPause is how long a mail waits after a number of attempts: up to a quarter
// less than the doubled pause, so that mails that failed together do not all come
// back together.
func retryPause(attempts int) time.Duration {
	pause := firstRetry
	for range max(0, attempts-1) {
		pause = min(2*pause, longestRetry)
	}
	spread, err := rand.Int(rand.Reader, big.NewInt(int64(pause/4)))
	if err != nil {
		return pause
	}
	return pause - time.Duration(spread.Int64())
}
