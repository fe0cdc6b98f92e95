package vault

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// idempotencyLife is how long an answer is remembered.
const idempotencyLife = 24 * time.Hour

const maxIdempotencyKey = 255

// once runs create in the transaction, unless the caller has sent the same
// request with the same Idempotency-Key before: then it returns the answer of
// that time. The remembered answer is part of the transaction and is sealed
// like a secret, for it may hold a new token. The caller of once has looked, in the
// transaction, whether p may still do a. Keys are p's own; a key
// that comes with another request is fault.Conflict.
func once[T any](ctx context.Context, v *Vault, tx store.Tx, p Principal, a Action, request any, create func() (T, error)) (T, error) {
	key := p.Request.IdempotencyKey
	if key == "" {
		return create()
	}
	var answer T
	if !validIdempotencyKey(key) {
		return answer, fault.InvalidField("header.Idempotency-Key", "must be 1 to 255 printable characters of ASCII")
	}
	digests, err := v.requestDigests(a, request)
	if err != nil {
		return answer, err
	}
	owner := p.Actor().ID
	if err := tx.LockIdempotencyKey(ctx, owner, key); err != nil {
		return answer, err
	}
	row, err := tx.IdempotencyKey(ctx, owner, key)
	switch {
	case err == nil && row.CreatedAt.Time().After(v.now().Add(-idempotencyLife)):
		return answer, v.remembered(row, digests, &answer)
	case err == nil:
		if err := tx.DeleteIdempotencyKey(ctx, owner, key); err != nil {
			return answer, err
		}
	case !errors.Is(err, fault.NotFound):
		return answer, err
	}
	if answer, err = create(); err != nil {
		return answer, err
	}
	return answer, v.remember(ctx, tx, owner, key, digests[0], answer)
}

// validIdempotencyKey accepts what every database takes as text and every
// client writes alike.
func validIdempotencyKey(key string) bool {
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return false
		}
	}
	return len(key) <= maxIdempotencyKey
}

// requestDigests are the digests of a request under each of the keys of sessions,
// that of new ones first. A request may hold a password; a digest without a key
// would let whoever reads the database guess it faster than its hash does.
func (v *Vault) requestDigests(a Action, request any) ([][]byte, error) {
	var b bytes.Buffer
	b.WriteString(string(a) + "\n")
	if err := api.Encode(&b, request); err != nil {
		return nil, err
	}
	digests := make([][]byte, len(v.sessionKeys))
	for i, key := range v.sessionKeys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte("request\n"))
		mac.Write(b.Bytes())
		digests[i] = mac.Sum(nil)
	}
	return digests, nil
}

func (v *Vault) remembered(row *store.IdempotencyKey, digests [][]byte, answer any) error {
	if !slices.ContainsFunc(digests, func(digest []byte) bool { return hmac.Equal(row.RequestDigest, digest) }) {
		return fault.New(fault.Conflict, "This Idempotency-Key was used for another request. Use a new key for each request.")
	}
	ring := v.currentRing()
	if ring == nil {
		return errNoKey
	}
	text, err := ring.Open([]byte(row.Sealed), row.KeyFingerprint)
	if err != nil && !ring.Has(row.KeyFingerprint) {
		return errKeyNotHere(row.KeyFingerprint, err)
	}
	if err != nil {
		return fault.Wrap(fault.Internal, err, "the remembered answer can not be decrypted")
	}
	return api.DecodeResponse(text, answer)
}

func (v *Vault) remember(ctx context.Context, tx store.Tx, owner, key string, digest []byte, answer any) error {
	var b bytes.Buffer
	if err := api.Encode(&b, answer); err != nil {
		return err
	}
	s, err := v.sealer(ctx, tx, "")
	if err != nil {
		return err
	}
	sealed, fingerprint, err := s.seal(api.NewValue(b.String()))
	if err != nil {
		return err
	}
	return tx.InsertIdempotencyKey(ctx, &store.IdempotencyKey{
		Owner: owner, Key: key, RequestDigest: digest, Sealed: sealed, KeyFingerprint: fingerprint, CreatedAt: v.micros(),
	})
}
