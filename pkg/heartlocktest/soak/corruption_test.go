//go:build unix

package soak

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/keyring"
)

const pageSize = 4096

// TestADamagedDatabaseFile: a server that comes upon a damaged page ends with an
// error, and neither it nor anything else starts over the file again.
func TestADamagedDatabaseFile(t *testing.T) {
	t.Parallel()
	const environments, secrets = 40, 250 // more than a connection keeps in memory
	s := newSite(t)
	token := s.onboard(t)
	key, err := keyring.ParseKey(strings.TrimSpace(s.read(t, "secret.key")))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.NewRing(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := (heartlocktest.Mass{Environments: environments, Secrets: secrets, Ring: ring}).Load(t.Context(), s.data("db.sqlite3")); err != nil {
		t.Fatal(err)
	}
	v := s.serve(t)
	c := v.client(t, token)
	if n, err := readMass(t.Context(), c, 0); err != nil || n != secrets {
		t.Fatalf("%d secrets, %v", n, err)
	}
	spoilHalf(t, s.data("db.sqlite3"))
	failures := 0
	for n := range environments {
		if _, err := readMass(t.Context(), c, n); err != nil {
			failures++
			if text := err.Error(); strings.Contains(text, "malformed") || strings.Contains(text, "SQL") {
				t.Errorf("a person is told %s", text)
			}
		}
	}
	select {
	case <-v.exited:
	case <-time.After(30 * time.Second):
		t.Fatalf("the server goes on with a damaged database; %d of %d reads failed", failures, environments)
	}
	v.mustBeSound(t)
	if code := v.state.ExitCode(); code != fault.Internal.ExitCode() || failures == 0 || !strings.Contains(v.log.String(), "restore a backup") {
		t.Errorf("exit code %d, %d failures\n%s", code, failures, v.log)
	}
	for _, args := range [][]string{{"serve", "--listen", "127.0.0.1:0"}, {"check"}, {"rotate-key", "--no-backup"}} {
		if e := s.run(t, "", args...); e.code == 0 || !strings.Contains(e.out+e.err, "damaged") {
			t.Errorf("heartlock %s: exit code %d\n%s%s", strings.Join(args, " "), e.code, e.out, e.err)
		}
	}
}

func readMass(ctx context.Context, c *client.Client, environment int) (int, error) {
	list, err := c.Secrets(ctx, client.Environment{Project: "mass-0", Slug: fmt.Sprintf("e-%d", environment)}, client.ListSecrets{Values: true})
	return len(list.Results), err
}

// spoilHalf writes over the second half of a file, past whoever has it open.
func spoilHalf(t *testing.T, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	half := info.Size() / 2 / pageSize * pageSize
	if _, err := file.WriteAt([]byte(strings.Repeat("Z", int(info.Size()-half))), half); err != nil {
		t.Fatal(err)
	}
}
