package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"sync/atomic"
)

// How the audit trail can not be rewritten.
//
// Every event gets the next id, and a MAC over itself, its id and the MAC before
// it. So nobody without the key of the chain changes an event, takes one out or
// puts one in. The row of audit_chain says where the chain begins and ends, under
// a MAC of its own: nobody without the key cuts it at either end. (Who puts an
// older state of the whole database back can; against that the end has to be kept
// elsewhere.)
//
// All who write events follow one another, by the lock on that row. It is taken
// as the last lock of a transaction, just before the commit: so it is held for as
// short as can be, and nobody who has it waits for anything.

// MACSize is the length of a MAC (HMAC-SHA256) in bytes.
const MACSize = sha256.Size

// ChainKeySize is the length of the key of the MACs in bytes.
const ChainKeySize = 32

// NoChainKey is the key of the MACs as long as there is no secret one, because
// no encryption key is configured that could seal it.
func NoChainKey() []byte { return make([]byte, ChainKeySize) }

// ChainKeeper has the keys that the key of the chain is sealed with.
type ChainKeeper interface {
	// OpenChainKey opens the key of the chain, as the row of audit_chain holds it.
	// nil is that there is none; then it is [NoChainKey].
	OpenChainKey(sealed *string, fingerprint string) ([]byte, error)
	// NewChainKey makes a secret key of the chain; nil if nothing can be sealed yet.
	NewChainKey(ctx context.Context, tx Tx) (*NewChainKey, error)
}

// NewChainKey is a key of the chain that has just been made.
type NewChainKey struct {
	Key         []byte
	Sealed      string
	Fingerprint string     // of the key that it is sealed with
	Event       AuditEvent // says so; its MAC is the first under the new key
}

// KeepChain sets who has the key of the chain. Without one no event can be
// written once the key is a secret one.
func (s *Store) KeepChain(keeper ChainKeeper) { s.chain.keeper.Store(&keeper) }

// chain is what a store knows of the chain.
type chain struct {
	keeper atomic.Pointer[ChainKeeper]
	// head is the end of the chain as it was seen last. It may be outdated, because
	// other servers write too.
	head atomic.Pointer[chainHead]
}

// known is the end of the chain as it was seen last. nil is that it has to be read
// first, also because a chain without a secret key may be able to get one.
func (c *chain) known() *chainHead {
	if head := c.head.Load(); head != nil && head.Sealed != nil {
		return head
	}
	return nil
}

func (c *chain) open(row *AuditChain) ([]byte, error) {
	if keeper := c.keeper.Load(); keeper != nil {
		return (*keeper).OpenChainKey(row.Sealed, row.KeyFingerprint)
	}
	if row.Sealed != nil {
		return nil, errors.New("nobody has the key of the audit trail's chain")
	}
	return NoChainKey(), nil
}

// newKey makes the secret key, if that can be done.
func (c *chain) newKey(ctx context.Context, tx Tx) (*NewChainKey, error) {
	keeper := c.keeper.Load()
	if keeper == nil {
		return nil, nil
	}
	return (*keeper).NewChainKey(ctx, tx)
}

// chainHead is a state of the chain.
type chainHead struct {
	AuditChain
	key  []byte
	next int64 // id of the next event: LastID + 1, unless somebody has put rows behind the chain
}

// Chainer makes the MACs of a chain under one key. It is not safe for concurrent
// use.
type Chainer struct {
	mac    hash.Hash
	buffer []byte
}

// NewChainer makes one.
func NewChainer(key []byte) *Chainer { return &Chainer{mac: hmac.New(sha256.New, key)} }

// Versions of what the MACs are over, which tell the two kinds apart.
const (
	eventEncoding = 1
	headEncoding  = 2
)

// Event is the MAC of an event, with its id, that follows the one with the MAC
// previous. It is over a version byte and then the previous MAC, the id and every
// other column; texts and bytes after their length, numbers as eight bytes, all
// big-endian.
func (c *Chainer) Event(previous []byte, e *AuditEvent) []byte {
	b := append(c.buffer[:0], eventEncoding)
	b = appendText(b, previous)
	b = appendNumber(b, e.ID)
	b = appendNumber(b, int64(e.At))
	for _, text := range [...]string{
		e.Actor.Kind, e.Actor.ID, e.Actor.Name, e.Action, e.Outcome, e.ProjectID, e.EnvironmentName,
		e.Target, e.Detail, e.IP, e.UserAgent, e.RequestID, e.Credential,
	} {
		b = appendText(b, text)
	}
	return c.sum(b)
}

// Head is the MAC of the chain's row.
func (c *Chainer) Head(row *AuditChain) []byte {
	b := append(c.buffer[:0], headEncoding)
	b = appendNumber(b, row.FirstID)
	b = appendText(b, row.FirstMAC)
	b = appendNumber(b, row.LastID)
	return c.sum(appendText(b, row.LastMAC))
}

func (c *Chainer) sum(b []byte) []byte {
	c.buffer = b
	c.mac.Reset()
	c.mac.Write(b)
	return c.mac.Sum(nil)
}

func appendNumber(b []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(n)) //nolint:gosec // the two's complement is what is meant
}

func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...) //nolint:gosec // no column is that long
}
