package server

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// finishedLife is how long the answer to a finished first run is kept for whoever
// did not get it: his browser sent the form twice, or lost the connection.
const finishedLife = 10 * time.Minute

// finishedRun is the first run that this server has finished. Its answer can hold the
// new encryption key, which is said nowhere else. It is given again to who sends the
// same answers, the password among them, under the same idempotency key.
type finishedRun struct {
	key     string // the idempotency key
	digest  []byte // of the request, under a secret of this process
	secret  []byte
	answer  api.OnboardResponse
	expires time.Time
}

// finishedBy remembers a first run; one without an idempotency key is not.
func finishedBy(who vault.Principal, in api.OnboardRequest, answer api.OnboardResponse, now time.Time) (*finishedRun, error) {
	if who.Request.IdempotencyKey == "" {
		return nil, nil
	}
	f := &finishedRun{key: who.Request.IdempotencyKey, secret: make([]byte, sha256.Size), answer: answer, expires: now.Add(finishedLife)}
	_, _ = rand.Read(f.secret) // never fails
	var err error
	f.digest, err = f.digestOf(in)
	return f, err
}

// again is the answer, if this is the request that finished the first run, sent once
// more in time.
func (f *finishedRun) again(who vault.Principal, in api.OnboardRequest, now time.Time) (api.OnboardResponse, bool) {
	if f == nil || who.Request.IdempotencyKey != f.key || now.After(f.expires) {
		return api.OnboardResponse{}, false
	}
	digest, err := f.digestOf(in)
	return f.answer, err == nil && hmac.Equal(digest, f.digest)
}

// digestOf has a key because the request holds a password.
func (f *finishedRun) digestOf(in api.OnboardRequest) ([]byte, error) {
	var b bytes.Buffer
	if err := api.Encode(&b, in); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "the answers of the first run could not be read again")
	}
	defer clear(b.Bytes())
	mac := hmac.New(sha256.New, f.secret)
	mac.Write(b.Bytes())
	return mac.Sum(nil), nil
}

// withCurrent runs do with the vault in service, which stays open meanwhile. What a
// request that finishes the first run goes on with is another one than served it.
func (s *Server) withCurrent(do func(*vault.Vault) error) error {
	now := s.acquire()
	if now == nil {
		return fault.New(fault.Unavailable, "The server is stopping.")
	}
	defer now.users.RUnlock()
	return do(now.Vault)
}
