//go:build linux

package main

import (
	"context"
	"net/http"
	"testing"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// BenchmarkHandler sends each kind of request through the whole handler of the
// server, without a network, to be looked at with pprof:
//
//	go test ./pkg/heartlocktest/bench -run '^$' -bench Handler/sqlite/read-one -cpuprofile cpu.out
//
// "serial" waits for each answer; "parallel" has 16 requests under way.
func BenchmarkHandler(b *testing.B) {
	for _, engine := range allEngines() {
		b.Run(engine, func(b *testing.B) {
			s, p := benchmarkSite(b, engine)
			for _, work := range allWorks() {
				b.Run(work+"/serial", func(b *testing.B) { benchmarkSerial(b, s, p, work) })
				b.Run(work+"/parallel", func(b *testing.B) { benchmarkParallel(b, s, p, work) })
			}
		})
	}
}

func benchmarkSite(b *testing.B, engine string) (*site, *inProcess) {
	b.Helper()
	var postgres *heartlocktest.PostgresServer
	if engine == enginePostgres {
		postgres = heartlocktest.StartPostgres(b, heartlocktest.PostgresOptions{Durable: true})
	}
	ctx := context.Background()
	s, err := newSite(ctx, engine, b.TempDir(), postgres)
	if err != nil {
		b.Fatal(err)
	}
	p, err := startInProcess(s)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := p.stop(); err != nil {
			b.Error(err)
		}
	})
	if err := s.fill(ctx, "http://"+p.address); err != nil {
		b.Fatal(err)
	}
	return s, p
}

func benchmarkSerial(b *testing.B, s *site, p *inProcess, work string) {
	x := mustExchange(b, s, p, p.address, work)
	b.ReportAllocs()
	for b.Loop() {
		if err := x.do(); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkParallel(b *testing.B, s *site, p *inProcess, work string) {
	b.ReportAllocs()
	b.SetParallelism(8) // times GOMAXPROCS
	b.RunParallel(func(pb *testing.PB) {
		x := mustExchange(b, s, p, p.address, work)
		for pb.Next() {
			if err := x.do(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func mustExchange(b *testing.B, s *site, handler http.Handler, host, work string) *exchange {
	b.Helper()
	x, err := newExchange(s, handler, host, sideHeartlock, work)
	if err != nil {
		b.Error(err)
	}
	return x
}

// TestEveryKindOfRequest keeps the benchmark from rotting: each kind is sent once
// to both servers, and wrong answers are noticed.
func TestEveryKindOfRequest(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s, err := newSite(ctx, engineSQLite, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := startInProcess(s)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.fill(ctx, "http://"+p.address); err != nil {
		t.Fatal(err)
	}
	bare, err := newFloor(ctx, s.floorSetup())
	if err != nil {
		t.Fatal(err)
	}
	defer bare.store.close()
	for _, work := range allWorks() {
		for _, side := range sidesOf(work) {
			handler := http.Handler(p)
			if side == sideFloor {
				handler = bare.handler()
			}
			x, err := newExchange(s, handler, p.address, side, work)
			if err != nil {
				t.Fatalf("%s, %s: %v", work, side, err)
			}
			if err := x.do(); err != nil {
				t.Errorf("%s, %s: %v", work, side, err)
			}
			x.request.Header.Set("Authorization", "Bearer hlp_wrong")
			if x.do() == nil {
				t.Errorf("%s, %s: a wrong answer passes", work, side)
			}
		}
	}
}
