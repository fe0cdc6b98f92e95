//go:build unix

package soak

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestBackupsWhileManyClientsWrite makes one backup after the other while 32
// clients read and write. Each is restored into a new installation, which has to
// be sound and to hold every value that was acknowledged before the backup began.
func TestBackupsWhileManyClientsWrite(t *testing.T) {
	parallel(t)
	eachInstallation(t, binary, rotatedSecrets, func(t *testing.T, i *installation) {
		backups, bystanders := 3, 2
		if *soak {
			backups, bystanders = 100, 10
		}
		i.addMass(t, bystanders)
		v := i.serve(t)
		r := newRegister(rotatedSecrets)
		var over atomic.Bool
		var all sync.WaitGroup
		for n := range rotationClients {
			c := v.client(t, i.token)
			all.Go(func() { r.run(t.Context(), c, n, func() bool { return !over.Load() }) })
		}
		var least [][]int64
		files, start, slowest := t.TempDir(), time.Now(), time.Duration(0)
		name := func(n int) string { return filepath.Join(files, fmt.Sprintf("%d.backup", n)) }
		for n := range backups {
			least = append(least, r.snapshot())
			began := time.Now()
			i.mustRun(t, "", "backup", name(n))
			slowest = max(slowest, time.Since(began))
		}
		over.Store(true)
		all.Wait()
		span := time.Since(start)
		v.stop(t)
		lost := 0
		for n := range backups {
			t.Run(fmt.Sprint(n), func(t *testing.T) { lost += i.restored(t, name(n), r, least[n]) })
			if err := os.Remove(name(n)); err != nil {
				t.Fatal(err)
			}
		}
		if len(r.failures) > 0 {
			t.Errorf("%d requests failed, such as: %s", len(r.failures), r.failures[0])
		}
		if lost > 0 || len(r.writes) < 20 {
			t.Errorf("%d acknowledged values are in no backup; %d writes", lost, len(r.writes))
		}
		title := fmt.Sprintf("%s, %d backups under %d clients 70/30: ", i.engine(), backups, rotationClients)
		measured.add(title+"acknowledged values missing in them, failed requests", lost+len(r.failures) == 0, "0, 0", "%d, %d", lost, len(r.failures))
		measured.add(title+"the slowest, of "+fmt.Sprint(bystanders*1000+rotatedSecrets)+" secrets", slowest < 10*time.Second, "10s", "%v", slowest.Round(time.Millisecond))
		measured.add(title+"writes", r.longestWait < time.Second, "none longer than 1s", "%.0f/s, p99 %v, at most %v",
			float64(len(r.writes))/span.Seconds(), percentile(r.writes, 99), r.longestWait.Round(time.Millisecond))
	})
}

// restored restores a backup into a new installation, and counts what it lacks.
func (i *installation) restored(t *testing.T, file string, r *register, least []int64) (lost int) {
	t.Helper()
	other := i.bare(t)
	other.mustRun(t, "", "restore", file)
	if i.postgres == nil {
		integrity(t, other.data("db.sqlite3"))
	}
	if e := other.run(t, "", "check", "--decrypt-all"); strings.Contains(e.out, "error ") {
		t.Errorf("the restored installation is not sound:\n%s", e.out)
	}
	v := other.serve(t)
	lost = r.lacks(t, other, v, least)
	v.stop(t)
	return lost
}
