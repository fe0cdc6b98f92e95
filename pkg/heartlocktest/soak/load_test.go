//go:build unix

package soak

import (
	"context"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
)

const (
	clients     = 64
	loadSecrets = 50
	soakSpan    = 10 * time.Second
	testOps     = 4000
)

// load is what many clients have done and seen.
type load struct {
	mu            sync.Mutex
	reads, writes []time.Duration
	failures      []string // those that the server is to blame for
}

func (l *load) note(list *[]time.Duration, took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*list = append(*list, took)
	if err != nil {
		l.failures = append(l.failures, fault.Detail(err))
	}
}

// run lets one client read four times of five and write once, while going.
func (l *load) run(ctx context.Context, c *client.Client, number int, going func() bool) {
	random := rand.New(rand.NewSource(int64(number)))
	for i := 0; going(); i++ {
		key := fmt.Sprintf("KEY_%d", random.Intn(loadSecrets))
		start := time.Now()
		if random.Intn(5) > 0 {
			_, err := c.Secret(ctx, development, key)
			l.note(&l.reads, time.Since(start), err)
			continue
		}
		v := api.NewValue(fmt.Sprintf("%d of client %d", i, number))
		_, _, err := c.PutSecret(ctx, development, key, api.PutSecret{Value: &v})
		l.note(&l.writes, time.Since(start), err)
	}
}

func percentile(list []time.Duration, p int) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[(len(list)-1)*p/100].Round(10 * time.Microsecond)
}

// going is when clients stop: in a soak when the time is over, else after a
// number of requests.
func going() func() bool {
	if *soak {
		end := time.Now().Add(soakSpan)
		return func() bool { return time.Now().Before(end) }
	}
	var done atomic.Int64
	return func() bool { return done.Add(1) <= testOps }
}

// TestManyClientsOnSQLite has 64 clients read and write while another process
// writes to the same file again and again. Nobody may be told that the database
// is locked, or anything else that is the server's fault.
func TestManyClientsOnSQLite(t *testing.T) {
	parallel(t)
	s := newSite(t)
	token := s.onboard(t)
	v := s.serve(t)
	service := v.shop(t, token)
	set := map[string]api.Value{}
	for i := range loadSecrets {
		set[fmt.Sprintf("KEY_%d", i)] = api.NewValue("first")
	}
	if _, err := v.client(t, service).BulkSecrets(t.Context(), development, api.BulkRequest{Set: set}); err != nil {
		t.Fatal(err)
	}

	var l load
	var all sync.WaitGroup
	more, start := going(), time.Now()
	for i := range clients {
		c := v.client(t, service)
		all.Go(func() { l.run(t.Context(), c, i, more) })
	}
	quiet := make(chan struct{})
	go func() { all.Wait(); close(quiet) }()
	commands := s.resetPasswords(t, quiet)
	span := time.Since(start)
	v.stop(t)

	blame := strings.Count(v.log.String(), "database is locked")
	t.Logf("%d reads and %d writes in %v, %d commands beside them", len(l.reads), len(l.writes), span, commands)
	if len(l.failures) > 0 {
		t.Errorf("%d requests failed, such as: %s", len(l.failures), l.failures[0])
	}
	if blame > 0 || commands == 0 || len(l.reads) == 0 || len(l.writes) == 0 {
		t.Errorf("%d times locked, %d commands, %d reads, %d writes", blame, commands, len(l.reads), len(l.writes))
	}
	readP99, writeP99 := percentile(l.reads, 99), percentile(l.writes, 99)
	name := fmt.Sprintf("SQLite, %d clients 80/20 and a second process: ", clients)
	measured.add(name+"failed requests, database is locked", len(l.failures)+blame == 0, "0, 0", "%d of %d, %d", len(l.failures), len(l.reads)+len(l.writes), blame)
	measured.add(name+"reads", readP99 <= 100*time.Millisecond, "p99 100ms", "%.0f/s, p50 %v, p99 %v", float64(len(l.reads))/span.Seconds(), percentile(l.reads, 50), readP99)
	measured.add(name+"writes", writeP99 <= time.Second, "p99 1s", "%.0f/s, p50 %v, p99 %v", float64(len(l.writes))/span.Seconds(), percentile(l.writes, 50), writeP99)
	measured.add(name+"commands of the second process", commands > 0, "some", "%d", commands)
}

// resetPasswords runs a command that writes to the database until nobody else
// does, and says how often.
func (s *site) resetPasswords(t *testing.T, quiet <-chan struct{}) (commands int) {
	t.Helper()
	for {
		e := s.run(t, password, "admin", "reset-password", owner, "--password-stdin")
		if e.code != 0 {
			t.Errorf("admin reset-password: exit code %d\n%s", e.code, e.err)
		}
		commands++
		select {
		case <-quiet:
			return commands
		default:
		}
	}
}
