//go:build unix

package soak

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/keyring"
)

// TestAServerThatMissesARotation has a server that knows the former key alone,
// and that stands still while the others rotate. Nothing is rotated while it is
// seen to run. When it wakes up, it must neither write under the former key nor
// give out anything wrong.
func TestAServerThatMissesARotation(t *testing.T) {
	parallel(t)
	db := heartlocktest.StartPostgres(t, heartlocktest.PostgresOptions{})
	url := db.Database(t)
	i := &installation{site: newSite(t, "DATABASE_URL="+url), postgres: db, databaseURL: url}
	i.program = crashing
	i.fill(t, 60)
	keys, fingerprints := i.keys(t)
	renewed := keyring.Generate()

	other := newSite(t, "DATABASE_URL="+url, "HEARTLOCK_ENCRYPTION_KEY="+keys[0])
	stale := other.serve(t)
	i.environ = append(i.environ, "HEARTLOCK_ENCRYPTION_KEY="+renewed.Encode()+","+keys[0])

	e := i.run(t, "", rotate()...)
	if e.code == 0 || !strings.Contains(e.err, "these servers do not have key "+renewed.Fingerprint()) {
		t.Errorf("it rotates past a running server: exit code %d\n%s", e.code, e.err)
	}
	if under := i.under(t); under[fingerprints[0]] == 0 || len(under) != 1 {
		t.Errorf("values are under the keys %v", under)
	}

	stale.fallsSilent(t, i)
	if !i.crash(t, "rotate:3:after", rotate()...) {
		t.Fatal("there are no three batches")
	}
	stale.wake(t)
	if right := i.asked(t, stale); right == 0 || right == len(i.present) {
		t.Errorf("%d of %d values are still under the former key", right, len(i.present))
	}
	i.mustRun(t, "", rotate()...)
	if right := i.asked(t, stale); right > 0 {
		t.Errorf("a server without the key has read %d values", right)
	}
	i.mustRun(t, "", rotate("--finish")...)
	if right := i.asked(t, stale); right > 0 {
		t.Errorf("a server without the key has read %d values after the end of the rotation", right)
	}
	if under := i.under(t); len(under) != 1 || under[renewed.Fingerprint()] == 0 {
		t.Errorf("values are under the keys %v", under)
	}
	fresh := i.serve(t)
	if n := i.unreadable(t, fresh); n > 0 {
		t.Errorf("%d values are unreadable", n)
	}
	fresh.stop(t)
	stale.mustBeSound(t)
}

// fallsSilent stops a server from running for so long that it is taken to be
// gone, as far as the database knows.
func (v *server) fallsSilent(t *testing.T, i *installation) {
	t.Helper()
	if err := v.process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	db := i.database(t)
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), "UPDATE servers SET seen_at = seen_at - 3600000000"); err != nil {
		t.Fatal(err)
	}
}

func (v *server) wake(t *testing.T) {
	t.Helper()
	if err := v.process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// asked lets a server without the new key read each value and write some, and
// counts the right answers. Each other one must be that it is not able to now;
// nothing may change.
func (i *installation) asked(t *testing.T, v *server) (right int) {
	t.Helper()
	before := i.sealed(t)
	c := v.client(t, i.token)
	for key, want := range i.present {
		got, err := c.Secret(t.Context(), development, key)
		switch {
		case err != nil:
			isPutOff(t, "a read", err)
		case got.Value.Reveal() != want:
			t.Errorf("the value of %s is wrong", key)
		default:
			right++
		}
	}
	text := api.NewValue("written by a server that missed the rotation")
	_, _, err := c.PutSecret(t.Context(), development, "KEY_0001", api.PutSecret{Value: &text})
	isPutOff(t, "a write", err)
	_, _, err = c.PutSecret(t.Context(), development, "NEW", api.PutSecret{Value: &text})
	isPutOff(t, "a new secret", err)
	_, err = c.BulkSecrets(t.Context(), development, api.BulkRequest{Set: map[string]api.Value{"KEY_0002": text, "NEWER": text}})
	isPutOff(t, "a bulk write", err)
	_, err = v.client(t, i.owner).CreateProject(t.Context(), api.CreateProject{Name: "Missed"}, client.IdempotencyKey("missed"))
	isPutOff(t, "a request that has to be remembered", err)
	if !slices.Equal(i.sealed(t), before) {
		t.Error("a server without the key has changed values")
	}
	return right
}

// isPutOff fails the test unless the answer is 503 with Retry-After.
func isPutOff(t *testing.T, what string, err error) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind.Status() != http.StatusServiceUnavailable || f.RetryAfter <= 0 {
		t.Errorf("%s: %v, want 503 with Retry-After", what, err)
	}
}
