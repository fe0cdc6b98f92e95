//go:build unix

package soak

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"math/rand"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

const (
	writers = 16
	slots   = 4 // secrets of each writer

	// confirmedPerKill is how many confirmed writes a soak has for each kill: more
	// than 50,000 in all.
	confirmedPerKill = 170
)

// slot is one secret and what its writer knows of it. Only the writer changes it
// while writers run.
type slot struct {
	key          string
	acknowledged int   // the last write that the server has confirmed; 0: none
	attempted    int   // the last write that was sent
	version      int64 // after the last write that is known to have happened
}

// value is what the n-th write of a secret writes: it proves its own integrity.
func value(key string, n int) string {
	text := key + "." + strconv.Itoa(n)
	sum := sha256.Sum256([]byte(text))
	return text + "." + hex.EncodeToString(sum[:])
}

// ledger is what was written and confirmed. It lives in this process, which
// survives.
type ledger struct {
	slots        [writers][slots]slot
	acknowledged atomic.Int64
}

func newLedger() *ledger {
	l := new(ledger)
	for w := range writers {
		for s := range slots {
			l.slots[w][s].key = fmt.Sprintf("W%02d_%d", w, s)
		}
	}
	return l
}

// write lets all writers write until one write fails, and calls kill as soon as
// the given number of writes were confirmed, while others are under way.
func (l *ledger) write(t *testing.T, v *server, token api.Value, number int, kill func()) {
	t.Helper()
	target := l.acknowledged.Load() + int64(number)
	var all sync.WaitGroup
	for w := range writers {
		c := v.client(t, token)
		all.Go(func() {
			for i := 0; ; i++ {
				s := &l.slots[w][i%slots]
				s.attempted++
				text := api.NewValue(value(s.key, s.attempted))
				got, _, err := c.PutSecret(t.Context(), development, s.key, api.PutSecret{Value: &text})
				if err != nil {
					return // whether it was written is not known
				}
				s.acknowledged, s.version = s.attempted, got.Version
				if l.acknowledged.Add(1) == target {
					kill()
				}
			}
		})
	}
	all.Wait()
}

// verify reads every secret through the server and holds it against the ledger.
func (l *ledger) verify(t *testing.T, v *server, token api.Value) (lost, torn, twice int) {
	t.Helper()
	list, err := v.client(t, token).Secrets(t.Context(), development, client.ListSecrets{Values: true})
	if err != nil {
		t.Fatalf("the secrets can not be read: %v\n%s", err, v.log)
	}
	stored := map[string]api.Secret{}
	for _, s := range list.Results {
		if _, again := stored[s.Key]; again {
			twice++
		}
		stored[s.Key] = s
	}
	for w := range writers {
		for i := range slots {
			s := &l.slots[w][i]
			got, there := stored[s.key]
			if !there {
				if s.acknowledged > 0 {
					lost++
				}
				continue
			}
			n, ok := sequence(s.key, got.Value.Reveal())
			want := s.version
			if n > s.acknowledged { // the one whose outcome was not known
				want++
			}
			switch {
			case !ok || n > s.attempted:
				torn++
			case n < s.acknowledged:
				lost++
			case got.Version != want:
				twice++
			}
			s.acknowledged, s.version = n, got.Version
		}
	}
	return lost, torn, twice
}

// sequence is which write a stored value is of.
func sequence(key, stored string) (n int, ok bool) {
	parts := strings.Split(stored, ".")
	if len(parts) != 3 {
		return 0, false
	}
	n, err := strconv.Atoi(parts[1])
	return n, err == nil && stored == value(key, n)
}

// crash is one run of kills.
type crash struct {
	name  string
	site  *site
	kills int
	most  int                        // confirmed writes before a kill
	kill  func(round int, v *server) // called in the middle of everything
	mend  func()                     // makes good what kill has done beyond the server
	check func()                     // looks at the database from outside
}

// run kills a server again and again while it is written to.
func (c *crash) run(t *testing.T) {
	t.Helper()
	t.Logf("killing %d times", c.kills)
	owner, l := c.site.onboard(t), newLedger()
	v := c.site.serve(t)
	token := v.shop(t, owner)
	var lost, torn, twice int
	var slowest time.Duration
	for i := range c.kills {
		l.write(t, v, token, 1+rand.Intn(c.most), func() { c.kill(i, v) })
		v.kill()
		v.mustBeSound(t)
		c.mend()
		v = c.site.serve(t)
		slowest = max(slowest, v.took)
		a, b, d := l.verify(t, v, token)
		lost, torn, twice = lost+a, torn+b, twice+d
		c.check()
	}
	v.stop(t)
	total := l.acknowledged.Load()
	measured.add(c.name+": kills", true, fmt.Sprint(c.kills), "%d", c.kills)
	measured.add(c.name+": writes confirmed", total >= int64(c.kills)*confirmedPerKill, fmt.Sprint(c.kills*confirmedPerKill), "%d", total)
	if !measured.add(c.name+": confirmed writes lost, torn, done twice", lost+torn+twice == 0, "0, 0, 0", "%d, %d, %d", lost, torn, twice) {
		t.Errorf("of %d confirmed writes, %d were lost, %d torn, %d done twice", total, lost, torn, twice)
	}
	measured.add(c.name+": ready again, at worst", slowest <= 2*time.Second, "2s", "%v", slowest.Round(time.Millisecond))
}

// TestKilledWhileWriting: a write that was confirmed survives a kill -9 of the
// server, whole and once.
func TestKilledWhileWriting(t *testing.T) {
	parallel(t)
	justKill := func(_ int, v *server) { _ = v.process.Kill() }
	nothing := func() {}
	eachEngine(t, func(t *testing.T) {
		s := newSite(t)
		c := crash{name: "kill -9, SQLite", site: s, kills: 20, most: 60, kill: justKill, mend: nothing}
		if *soak {
			c.kills, c.most = 200, 450
		}
		c.check = func() { integrity(t, filepath.Join(s.dir, "heartlock_data", "db.sqlite3")) }
		c.run(t)
	}, func(t *testing.T, db *heartlocktest.PostgresServer, url string) {
		c := crash{
			name: "kill -9, PostgreSQL", site: newSite(t, "DATABASE_URL="+url), kills: 20, most: 60,
			kill: justKill, mend: nothing, check: nothing,
		}
		if *soak {
			c.kills, c.most = 100, 450
			down := false
			c.kill = func(round int, v *server) { // every fifth time the database server too, and before
				if round%5 == 0 {
					db.Kill(t)
					down = true
				}
				justKill(round, v)
			}
			c.mend = func() {
				if down {
					db.Start(t)
					down = false
				}
			}
		}
		c.run(t)
	})
}

// eachEngine runs a test for each: at once, but in a soak, where they would
// disturb what is measured, one after the other.
func eachEngine(t *testing.T, sqlite func(*testing.T), postgres func(*testing.T, *heartlocktest.PostgresServer, string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		parallel(t)
		sqlite(t)
	})
	t.Run("postgres", func(t *testing.T) {
		parallel(t)
		db := heartlocktest.StartPostgres(t, heartlocktest.PostgresOptions{Durable: true})
		postgres(t, db, db.Database(t))
	})
}

func parallel(t *testing.T) {
	if !*soak {
		t.Parallel()
	}
}

// integrity lets SQLite look for damage.
func integrity(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=query_only(1)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var verdict string
	var dangling int
	if err := db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity check: %s, %v", verdict, err)
	}
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM pragma_foreign_key_check").Scan(&dangling); err != nil || dangling > 0 {
		t.Errorf("%d rows refer to nothing, %v", dangling, err)
	}
}
