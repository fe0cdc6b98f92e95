package rest_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/store"
)

// verifierOfCLI is that of every sign-in of a command line here.
const verifierOfCLI = "a-verifier-that-never-left-the-command-line"

// grantCode makes a code that serves for a minute, as the page does on which a person
// agrees, for the owner's oldest session.
func grantCode(s *heartlocktest.Server, ownerID, code string) {
	challenge, now := sha256.Sum256([]byte(verifierOfCLI)), time.Now()
	sessions, err := s.Store().SessionsOfUser(context.Background(), ownerID, store.MicrosOf(now))
	if err != nil || len(sessions) == 0 {
		panic("the owner is not signed in")
	}
	digest := sha256.Sum256([]byte(code))
	err = s.Store().Write(context.Background(), func(ctx context.Context, tx store.Tx) error {
		return tx.InsertCLILogin(ctx, &store.CLILogin{
			Digest: digest[:], UserID: ownerID, SessionID: sessions[len(sessions)-1].ID, LifetimeDays: 90,
			CodeChallenge: base64.RawURLEncoding.EncodeToString(challenge[:]), CreatedAt: store.MicrosOf(now), ExpiresAt: store.MicrosOf(now.Add(time.Hour)),
		})
	})
	if err != nil {
		panic(err)
	}
}

// grantedCode is a request that ends a sign-in.
func grantedCode(w *world) any {
	code := w.fresh("code")
	code += strings.Repeat("0", 43-len(code))
	code = strings.ReplaceAll(code, "-", "x")
	grantCode(w.s, w.callers["owner"].UserID, code)
	return map[string]any{"code": code, "code_verifier": verifierOfCLI}
}
