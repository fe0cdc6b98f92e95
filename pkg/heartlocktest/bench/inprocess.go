//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"

	"github.com/heartlock/heartlock/pkg/config"
	"github.com/heartlock/heartlock/pkg/server"
)

// inProcess is the server of a site in this process, to call its handler
// without a network: for profiles, and for counting what a request allocates.
type inProcess struct {
	http.Handler
	address string
	cancel  context.CancelFunc
	ended   chan error
}

func startInProcess(s *site) (*inProcess, error) {
	log := slog.New(slog.NewJSONHandler(io.Discard, nil)) // at level info, as in production
	srv, err := server.New(server.Options{Load: func() (*config.Server, error) { return s.load() }, Migrate: true, Log: log, Version: "bench"})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &inProcess{Handler: srv, address: listener.Addr().String(), cancel: cancel, ended: make(chan error, 1)}
	ready := make(chan struct{})
	go func() { p.ended <- srv.Run(ctx, listener, func(bool, string) { close(ready) }) }()
	select {
	case <-ready:
		return p, nil
	case err := <-p.ended:
		cancel()
		return nil, fmt.Errorf("the server has ended: %w", err)
	}
}

func (p *inProcess) stop() error {
	p.cancel()
	return <-p.ended
}

// exchange is a request that is sent to a handler again and again.
type exchange struct {
	handler http.Handler
	request *http.Request
	body    func() []byte // of the next request; nil: none
	status  int
	answer  discarder
	reader  bytes.Reader
}

// newExchange prepares a kind of request for one side of a site.
func newExchange(s *site, handler http.Handler, host, side, work string) (*exchange, error) {
	x := &exchange{handler: handler, status: http.StatusOK}
	method, target := http.MethodGet, path(side, readEnv)
	switch work {
	case workOne:
		target = path(side, readEnv, oneSecretKey)
	case workWrite:
		method, target = http.MethodPut, path(side, writeEnv, clientKey(0))
		x.body = changingBody()
	default:
		if side == sideHeartlock {
			target += "?values=true"
		}
	}
	var err error
	if x.request, err = http.NewRequestWithContext(context.Background(), method, "http://"+host+target, http.NoBody); err != nil {
		return nil, err
	}
	x.request.RemoteAddr = "127.0.0.1:40000"
	x.request.RequestURI = target
	x.request.Header.Set("Authorization", "Bearer "+s.token.Reveal())
	if x.body != nil {
		x.request.Header.Set("Content-Type", "application/json")
	}
	if err := x.do(); err != nil || work != workCurrent {
		return x, err
	}
	x.request.Header.Set("If-None-Match", x.answer.header.Get("ETag"))
	x.status = http.StatusNotModified
	return x, nil
}

// changingBody makes the body of a write, with a value that was never there.
func changingBody() func() []byte {
	n := 0
	var body []byte
	return func() []byte {
		n++
		body = fmt.Appendf(body[:0], `{"value":"%052d"}`, n)
		return body
	}
}

// do sends the request once.
func (x *exchange) do() error {
	r := *x.request
	if x.body != nil {
		body := x.body()
		x.reader.Reset(body)
		r.Body, r.ContentLength = io.NopCloser(&x.reader), int64(len(body))
	}
	x.answer.reset()
	x.handler.ServeHTTP(&x.answer, &r)
	if x.answer.status != x.status {
		return fmt.Errorf("answer %d instead of %d", x.answer.status, x.status)
	}
	return nil
}

// discarder is the other end of a handler; it keeps the status and the headers.
type discarder struct {
	header http.Header
	status int
}

func (d *discarder) reset() {
	if d.header == nil {
		d.header = http.Header{}
	}
	clear(d.header)
	d.status = 0
}

func (d *discarder) Header() http.Header { return d.header }

func (d *discarder) WriteHeader(status int) { d.status = status }

func (d *discarder) Write(b []byte) (int, error) {
	if d.status == 0 {
		d.status = http.StatusOK
	}
	return len(b), nil
}

// countedRequests is how many requests the allocations are averaged over.
const countedRequests = 300

// countAllocations calls the handlers of both sides in this process. Everything
// that a request causes counts, also what other goroutines do for it.
func countAllocations(ctx context.Context, s *site, f *figures) (err error) {
	p, err := startInProcess(s)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	bare, err := newFloor(ctx, s.floorSetup())
	if err != nil {
		return err
	}
	defer bare.store.close()
	f.Allocations[s.engine] = map[string]map[string]allocation{}
	for side, handler := range map[string]http.Handler{sideHeartlock: p, sideFloor: bare.handler()} {
		counts := map[string]allocation{}
		for _, work := range allWorks() {
			if side == sideFloor && work == workCurrent {
				continue
			}
			x, err := newExchange(s, handler, p.address, side, work)
			if err == nil {
				counts[work], err = x.count()
			}
			if err != nil {
				return fmt.Errorf("%s, %s, %s: %w", s.engine, side, work, err)
			}
		}
		f.Allocations[s.engine][side] = counts
	}
	return nil
}

func (x *exchange) count() (allocation, error) {
	for range countedRequests / 10 {
		if err := x.do(); err != nil {
			return allocation{}, err
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range countedRequests {
		if err := x.do(); err != nil {
			return allocation{}, err
		}
	}
	runtime.ReadMemStats(&after)
	return allocation{
		Objects: float64(after.Mallocs-before.Mallocs) / countedRequests,
		Bytes:   float64(after.TotalAlloc-before.TotalAlloc) / countedRequests,
	}, nil
}
