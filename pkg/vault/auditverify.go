package vault

import (
	"context"
	"crypto/hmac"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/store"
)

// AuditVerification is what VerifyAudit found.
type AuditVerification struct {
	Checked int64 // events of the chain that were looked at
	// Uncovered are the events that nothing protects: they are from before the
	// chain, or everybody could make them because there was no encryption key yet.
	Uncovered int64
	// UncoveredTo is the time of the last of those; nil: there are none.
	UncoveredTo *time.Time
	From, To    *time.Time // of the first and the last event of the chain; nil: it has none
	LastID      int64      // of the chain
	Head        AuditHead  // its end
	// HasKey is false as long as no encryption key is configured: then the MACs are
	// under a key that everybody knows.
	HasKey   bool
	Problems []AuditProblem // up to MaxAuditProblems, in the order in which they were found
	More     int64          // those beyond
}

// OK reports whether nothing is wrong.
func (v AuditVerification) OK() bool { return len(v.Problems) == 0 }

// MaxAuditProblems bounds the list of problems.
const MaxAuditProblems = 100

// AuditProblem is something that is wrong with the audit trail.
type AuditProblem struct {
	Kind     AuditProblemKind
	From, To int64  // ids, both inclusive; 0: the chain itself
	Text     string // of a ChainWrong
}

// AuditProblemKind says what is wrong.
type AuditProblemKind string

// The kinds of problems.
const (
	EventAltered  AuditProblemKind = "altered"  // it is not what was recorded
	EventMissing  AuditProblemKind = "missing"  // it was removed
	EventInserted AuditProblemKind = "inserted" // it was not recorded by Heartlock
	ChainWrong    AuditProblemKind = "chain"    // the record of where the chain begins and ends
)

// String is a sentence for a person.
func (p AuditProblem) String() string {
	if p.Kind == ChainWrong {
		return p.Text
	}
	if p.From == p.To {
		return fmt.Sprintf("Event %d is %s.", p.From, p.Kind)
	}
	return fmt.Sprintf("Events %d to %d are %s.", p.From, p.To, p.Kind)
}

// AuditHead is a place in the chain: the id of an event and its MAC. Kept
// elsewhere, it proves later that nothing up to there was changed or cut off, also
// against somebody who has the key.
type AuditHead struct {
	ID  int64
	MAC []byte
}

// String is "position:hex".
func (h AuditHead) String() string {
	return strconv.FormatInt(h.ID, 10) + ":" + hex.EncodeToString(h.MAC)
}

// ParseAuditHead reads what String has written.
func ParseAuditHead(text string) (AuditHead, error) {
	position, digits, ok := strings.Cut(text, ":")
	id, err := strconv.ParseInt(position, 10, 64)
	mac, hexErr := hex.DecodeString(digits)
	if !ok || err != nil || hexErr != nil || id < 1 || len(mac) != store.MACSize {
		return AuditHead{}, fault.New(fault.Usage, "A place in the audit trail is written as position:hex, as `heartlock audit verify` prints it.")
	}
	return AuditHead{id, mac}, nil
}

// VerifyAudit reads the whole audit trail as it is at one moment and checks that
// nothing was changed, removed or inserted; with expect also that the trail still
// is the one of which that was a head. What is wrong is part of the result and no
// error. It changes nothing. Only a command on the server itself may.
func (v *Vault) VerifyAudit(ctx context.Context, p Principal, expect *AuditHead, progress func(done, total int64)) (AuditVerification, error) {
	if _, err := admit(p, ActionVerifyAudit); err != nil {
		return AuditVerification{}, err
	}
	c := &chainCheck{expect: expect, progress: progress}
	err := v.store.Snapshot(ctx, func(ctx context.Context, q store.Queries) error {
		if err := q.BeginDump(ctx); err != nil {
			return err
		}
		chain, err := q.AuditChain(ctx)
		if err != nil {
			return err
		}
		if err := c.begin(chain, v.currentRing); err != nil {
			return err
		}
		known, err := q.EncryptionKeys(ctx)
		if err != nil {
			return err
		}
		if err := q.EachAuditEvent(ctx, store.AuditFilter{}, c.event); err != nil {
			return err
		}
		c.compareKey(sealing(known) != "")
		c.end()
		return nil
	})
	return c.result, err
}

// chainCheck goes through the events of a chain.
type chainCheck struct {
	expect   *AuditHead
	progress func(done, total int64)
	result   AuditVerification

	chain   *store.AuditChain // nil: there is none
	keyed   *store.Chainer    // nil: the chain has no secret key yet
	keyless *store.Chainer
	isKeyed bool // the secret key holds from here on

	next     int64  // the id that comes next
	previous []byte // MAC before it
	// instead is what the MAC before it should be, if the row has another.
	instead []byte
	oldest  int64 // the least id that there is
	pruned  *prunedTo
	met     bool // what was expected was found
}

// prunedTo is what the last event of a pruning says.
type prunedTo struct {
	first int64
	mac   string
}

// noMAC stands before the first event of a chain from which nothing was removed.
var noMAC = make([]byte, store.MACSize)

func (c *chainCheck) begin(chain *store.AuditChain, ring func() *keyring.Ring) error {
	c.chain, c.keyless = chain, store.NewChainer(store.NoChainKey())
	if chain == nil {
		return nil
	}
	c.next, c.previous = chain.FirstID, chain.FirstMAC
	c.result.LastID, c.result.Head = chain.LastID, AuditHead{chain.LastID, chain.LastMAC}
	chainer := c.keyless
	if chain.Sealed != nil {
		key, err := unsealChainKey(ring(), *chain.Sealed, chain.KeyFingerprint)
		if err != nil {
			return err
		}
		c.keyed, c.result.HasKey = store.NewChainer(key), true
		chainer = c.keyed
	}
	if !hmac.Equal(chainer.Head(chain), chain.HeadMAC) {
		c.wrong("The record of where the audit trail begins and ends is altered.")
	}
	return nil
}

// compareKey looks whether the chain has a key if it can have one. The first event
// that is recorded with an encryption key makes it.
func (c *chainCheck) compareKey(canSeal bool) {
	switch {
	case !canSeal:
	case c.chain == nil && c.result.Uncovered > 0:
		c.wrong("The record of where the audit trail begins and ends is missing, although events were recorded.")
	case c.chain != nil && c.keyed == nil && c.result.Checked > 0:
		c.wrong("The key of the audit trail is missing, although there is an encryption key: everybody can have made this trail.")
	}
}

func (c *chainCheck) event(e *store.AuditEvent) error {
	if c.oldest == 0 && e.ID > 0 {
		c.oldest = e.ID
	}
	switch {
	case e.ID < 1:
		c.note(EventInserted, e.ID, e.ID)
		return nil
	case c.chain == nil && e.MAC == nil, c.chain != nil && e.ID < c.chain.FirstID:
		c.uncovered(e)
		return nil
	case c.chain == nil:
		c.note(EventInserted, e.ID, e.ID)
		return nil
	}
	c.linked(e)
	if c.keyed != nil && !c.isKeyed {
		c.uncovered(e)
	}
	c.result.Checked++
	if c.progress != nil && c.result.Checked%1000 == 0 {
		c.progress(c.result.Checked, c.chain.LastID-c.chain.FirstID+1)
	}
	return nil
}

func (c *chainCheck) uncovered(e *store.AuditEvent) {
	at := e.At.Time()
	c.result.Uncovered++
	c.result.UncoveredTo = &at
}

// linked looks at an event that has its place in the chain.
func (c *chainCheck) linked(e *store.AuditEvent) {
	skipped := e.ID > c.next
	if skipped {
		c.note(EventMissing, c.next, min(e.ID-1, max(c.next, c.chain.LastID)))
	}
	c.next = e.ID + 1
	if e.MAC == nil || e.ID > c.chain.LastID {
		c.note(EventInserted, e.ID, e.ID)
		c.instead = c.should(e) // or it was one of ours, and its MAC was removed
		return
	}
	at := e.At.Time()
	if c.result.From == nil {
		c.result.From = &at
	}
	c.result.To = &at
	if c.expect != nil && c.expect.ID == e.ID {
		c.met = hmac.Equal(c.expect.MAC, e.MAC)
	}
	should := c.should(e)
	switch {
	case hmac.Equal(should, e.MAC):
		c.instead = nil
	case c.instead != nil && hmac.Equal(c.chainer().Event(c.instead, e), e.MAC):
		c.instead = nil // the MAC of the one before was altered, and nothing of this one
	case skipped:
		c.instead = nil // it followed one that is not there any more: nobody can say
	default:
		c.note(EventAltered, e.ID, e.ID)
		c.instead = should
	}
	c.previous = append([]byte(nil), e.MAC...)
	c.follow(e)
}

// chainer is that of the key that holds at this place.
func (c *chainCheck) chainer() *store.Chainer {
	if c.isKeyed {
		return c.keyed
	}
	return c.keyless
}

// should is the MAC that an event should have. The secret key holds from the event
// that says that it was made; if that one was pruned, from the first on. Once it
// holds it holds for ever.
func (c *chainCheck) should(e *store.AuditEvent) []byte {
	if c.keyed != nil && !c.isKeyed {
		first := e.ID == c.chain.FirstID && !hmac.Equal(c.chain.FirstMAC, noMAC)
		c.isKeyed = e.Action == ActionBeginChain || first && !hmac.Equal(c.keyless.Event(c.previous, e), e.MAC)
	}
	return c.chainer().Event(c.previous, e)
}

// follow remembers what the last pruning has said.
func (c *chainCheck) follow(e *store.AuditEvent) {
	if e.Action != ActionPruneAudit {
		return
	}
	detail := apiAuditEvent(e).Detail
	if first, err := strconv.ParseInt(detail["first_id"], 10, 64); err == nil {
		c.pruned = &prunedTo{first, detail["first_mac"]}
	}
}

func (c *chainCheck) end() {
	if c.chain != nil {
		c.compareEnds()
	}
	if c.expect != nil && !c.met {
		c.compareExpected()
	}
}

func (c *chainCheck) compareEnds() {
	switch last := c.next - 1; {
	case last < c.chain.LastID:
		c.note(EventMissing, c.next, c.chain.LastID)
	case c.result.Checked > 0 && !hmac.Equal(c.previous, c.chain.LastMAC) && c.result.OK():
		c.wrong("The audit trail does not end with the event that is recorded as its last one.")
	}
	wasPruned := !hmac.Equal(c.chain.FirstMAC, noMAC)
	switch {
	case wasPruned && c.pruned == nil:
		c.wrong("Events were removed from the beginning of the audit trail, and no event says so.")
	case wasPruned && (c.pruned.first != c.chain.FirstID || c.pruned.mac != hex.EncodeToString(c.chain.FirstMAC)):
		c.wrong(fmt.Sprintf("The audit trail begins with event %d, but the last pruning left it to begin with event %d.", c.chain.FirstID, c.pruned.first))
	case c.pruned != nil && c.oldest < c.pruned.first:
		c.note(EventInserted, c.oldest, min(c.pruned.first, c.chain.FirstID)-1)
	}
}

func (c *chainCheck) compareExpected() {
	switch {
	case c.chain == nil || c.expect.ID > c.chain.LastID:
		c.wrong(fmt.Sprintf("The audit trail ends before event %d, which was its end once: what came last was cut off.", c.expect.ID))
	case c.expect.ID == c.chain.FirstID-1 && hmac.Equal(c.expect.MAC, c.chain.FirstMAC):
	case c.expect.ID < c.chain.FirstID && c.pruned == nil:
		c.wrong(fmt.Sprintf("The chain was begun anew after event %d, which was its end once: nothing is known of what was recorded until then.", c.expect.ID))
	case c.expect.ID < c.chain.FirstID:
		c.wrong(fmt.Sprintf("Event %d was removed by the rule of retention, so what is expected there can not be compared. Expect a later place.", c.expect.ID))
	default:
		c.wrong(fmt.Sprintf("The audit trail up to event %d is another than the one that is expected.", c.expect.ID))
	}
}

func (c *chainCheck) wrong(text string) { c.add(AuditProblem{Kind: ChainWrong, Text: text}) }

// note adds a problem, or makes the last one longer.
func (c *chainCheck) note(kind AuditProblemKind, from, to int64) {
	if n := len(c.result.Problems); n > 0 && c.result.More == 0 {
		if last := &c.result.Problems[n-1]; last.Kind == kind && last.To == from-1 {
			last.To = to
			return
		}
	}
	c.add(AuditProblem{Kind: kind, From: from, To: to})
}

func (c *chainCheck) add(p AuditProblem) {
	if len(c.result.Problems) == MaxAuditProblems {
		c.result.More++
		return
	}
	c.result.Problems = append(c.result.Problems, p)
}
