//go:build unix

package soak

import (
	"context"
	"fmt"
	"math/rand"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/client"
	"github.com/heartlock/heartlock/pkg/fault"
)

const (
	rotationClients = 32
	rotationLoad    = 60 * time.Second
)

// register is what is known of the secrets while many clients write them. Each
// secret has one writer.
type register struct {
	slots []registered

	mu            sync.Mutex
	reads, writes []time.Duration
	refused       int           // writes that were to be tried again later
	failures      []string      // what must not be
	longestWait   time.Duration // of a write
}

type registered struct {
	key                     string
	acknowledged, attempted atomic.Int64
}

func newRegister(secrets int) *register {
	r := &register{slots: make([]registered, secrets)}
	for n := range r.slots {
		r.slots[n].key = fmt.Sprintf("KEY_%04d", n)
		r.slots[n].acknowledged.Store(1)
		r.slots[n].attempted.Store(2) // the first ones were written by fill
		if n%10 == 0 {
			r.slots[n].acknowledged.Store(2)
		}
	}
	return r
}

func (r *register) fail(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// run is one client, which reads seven times of ten and writes otherwise.
func (r *register) run(ctx context.Context, c *client.Client, number int, going func() bool) {
	random := rand.New(rand.NewSource(int64(number)))
	for going() {
		if random.Intn(10) < 7 {
			r.read(ctx, c, &r.slots[random.Intn(len(r.slots))])
			continue
		}
		own := random.Intn(len(r.slots)/rotationClients)*rotationClients + number
		r.write(ctx, c, &r.slots[own])
	}
}

// read fails unless the answer is the last value that was acknowledged before,
// or one that was sent since.
func (r *register) read(ctx context.Context, c *client.Client, s *registered) {
	least := s.acknowledged.Load()
	start := time.Now()
	got, err := c.Secret(ctx, development, s.key)
	took := time.Since(start)
	r.mu.Lock()
	r.reads = append(r.reads, took)
	r.mu.Unlock()
	if err != nil {
		r.fail("a read: %s", fault.Detail(err))
		return
	}
	if n, ok := sequence(s.key, got.Value.Reveal()); !ok || int64(n) < least || int64(n) > s.attempted.Load() {
		r.fail("%s has the value %d, acknowledged was %d", s.key, n, least)
	}
}

func (r *register) write(ctx context.Context, c *client.Client, s *registered) {
	n := s.attempted.Add(1)
	text := api.NewValue(value(s.key, int(n)))
	start := time.Now()
	_, _, err := c.PutSecret(ctx, development, s.key, api.PutSecret{Value: &text})
	took := time.Since(start)
	r.mu.Lock()
	r.writes = append(r.writes, took)
	r.longestWait = max(r.longestWait, took)
	r.mu.Unlock()
	switch f := fault.As(err); {
	case err == nil:
		s.acknowledged.Store(n)
	case f != nil && f.Kind == fault.Unavailable && f.RetryAfter > 0:
		r.mu.Lock()
		r.refused++
		r.mu.Unlock()
	default:
		r.fail("a write: %s", fault.Detail(err))
	}
}

// lost counts the secrets that do not have the last acknowledged value, or one
// that was sent after it.
func (r *register) lost(t *testing.T, i *installation, v *server) int {
	t.Helper()
	return r.lacks(t, i, v, r.snapshot())
}

// snapshot is what was acknowledged of each secret at this moment.
func (r *register) snapshot() []int64 {
	least := make([]int64, len(r.slots))
	for n := range r.slots {
		least[n] = r.slots[n].acknowledged.Load()
	}
	return least
}

// lacks counts the secrets that a server has in an older state than least, or in
// one that never was.
func (r *register) lacks(t *testing.T, i *installation, v *server, least []int64) (lost int) {
	t.Helper()
	list, err := v.client(t, i.token).Secrets(t.Context(), development, client.ListSecrets{Values: true})
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string]string{}
	for _, s := range list.Results {
		stored[s.Key] = s.Value.Reveal()
	}
	for n := range r.slots {
		s := &r.slots[n]
		if got, ok := sequence(s.key, stored[s.key]); !ok || int64(got) < least[n] || int64(got) > s.attempted.Load() {
			lost++
		}
	}
	return lost
}

// TestManyClientsWhileRotating rotates, finishes, rotates again and goes back,
// over and over, while 32 clients read and write through running servers: one on
// SQLite, two on PostgreSQL.
func TestManyClientsWhileRotating(t *testing.T) {
	parallel(t)
	eachInstallation(t, binary, rotatedSecrets, func(t *testing.T, i *installation) {
		bystanders := 5
		if *soak {
			bystanders = 100
		}
		i.addMass(t, bystanders)
		servers := []*server{i.serve(t)}
		if i.postgres != nil {
			servers = append(servers, i.serve(t))
		}
		r := newRegister(rotatedSecrets)
		start := time.Now()
		least := time.Duration(0)
		if *soak {
			least = rotationLoad
		}
		var over atomic.Bool
		var all sync.WaitGroup
		for n := range rotationClients {
			c := servers[n%len(servers)].client(t, i.token)
			all.Go(func() { r.run(t.Context(), c, n, func() bool { return !over.Load() }) })
		}
		rotations := 0
		for rotations == 0 || time.Since(start) < least {
			for _, flag := range []string{"--no-backup", "--finish", "--no-backup", "--undo"} {
				if e := i.run(t, "", "rotate-key", flag); e.code != 0 {
					t.Errorf("%s: exit code %d\n%s", flag, e.code, e.err)
				}
			}
			rotations += 2
		}
		over.Store(true)
		all.Wait()
		span := time.Since(start)
		r.report(t, i, servers[0], rotations, span)
		for _, v := range servers {
			v.stop(t)
		}
	})
}

func (r *register) report(t *testing.T, i *installation, v *server, rotations int, span time.Duration) {
	t.Helper()
	t.Logf("%d reads and %d writes, of which %d were refused, in %v, during %d rotations", len(r.reads), len(r.writes), r.refused, span, rotations)
	if len(r.failures) > 0 {
		t.Errorf("%d requests failed, such as: %s", len(r.failures), r.failures[0])
	}
	lost, seals, elsewhere := r.lost(t, i, v), i.status(t).seals(), 0
	for key, n := range i.under(t) {
		if key != seals {
			elsewhere += n
		}
	}
	if lost+elsewhere > 0 || len(r.reads) < 100 || len(r.writes)-r.refused < 100 {
		t.Errorf("%d values are lost, %d under a former key; %d reads, %d writes, %d refused", lost, elsewhere, len(r.reads), len(r.writes), r.refused)
	}
	name := fmt.Sprintf("%s, %d rotations under %d clients 70/30: ", i.engine(), rotations, rotationClients)
	total := len(r.reads) + len(r.writes)
	measured.add(name+"failed requests", len(r.failures) == 0, "0", "%d of %d", len(r.failures), total)
	measured.add(name+"writes to be tried again", true, "503 with Retry-After", "%d of %d", r.refused, len(r.writes))
	measured.add(name+"acknowledged values lost, values under a former key", lost+elsewhere == 0, "0, 0", "%d, %d", lost, elsewhere)
	measured.add(name+"reads", true, "-", "%.0f/s, p50 %v, p99 %v", float64(len(r.reads))/span.Seconds(), percentile(r.reads, 50), percentile(r.reads, 99))
	measured.add(name+"writes", r.longestWait < 2*time.Second, "none longer than 2s", "%.0f/s, p50 %v, p99 %v, at most %v",
		float64(len(r.writes))/span.Seconds(), percentile(r.writes, 50), percentile(r.writes, 99), r.longestWait.Round(time.Millisecond))
}
