//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// conduct is a whole run: it builds and starts everything, measures, and
// reports.
func conduct(ctx context.Context, o options, out, progress io.Writer) (err error) {
	say := func(format string, args ...any) { fmt.Fprintf(progress, "bench: "+format+"\n", args...) }
	dir, err := os.MkdirTemp("", "heartlock-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.binary == "" {
		say("building the server")
		if o.binary, err = build(ctx, dir); err != nil {
			return err
		}
	}
	unrecorded, err := buildUnrecorded(ctx, dir)
	if err != nil {
		return err
	}
	l, err := launchLoad(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.stop()) }()
	f := newFigures()
	stages := []*stage{}
	for _, engine := range o.engines {
		say("setting up %s", engine)
		st, err := newStage(ctx, engine, filepath.Join(dir, engine), o.binary, unrecorded)
		if err != nil {
			return err
		}
		defer st.stop()
		stages = append(stages, st)
		f.Memory[engine] = map[string]memory{}
	}
	if err := measure(ctx, o, l, stages, f, say); err != nil {
		return err
	}
	for _, st := range stages {
		if err := st.finish(ctx, f); err != nil {
			return err
		}
	}
	return report(o, f, out)
}

// measure runs the rounds. Within a round each kind of request is sent to the
// server and to the floor in direct succession, so that whatever else happens on
// the machine meets both.
func measure(ctx context.Context, o options, l *load, stages []*stage, f *figures, say func(string, ...any)) error {
	for round := range o.rounds {
		say("round %d of %d", round+1, o.rounds)
		for _, st := range stages {
			for _, work := range o.works {
				for _, clients := range o.clients {
					for _, side := range sidesOf(work) {
						c := cell{Engine: st.site.engine, Work: work, Clients: clients, Side: side}
						if err := st.measure(ctx, l, c, o.length, f); err != nil {
							return fmt.Errorf("%s, %s, %d clients, %s: %w", c.Engine, c.Work, c.Clients, c.Side, err)
						}
					}
				}
			}
		}
	}
	return nil
}

// stage is the servers over one kind of database.
type stage struct {
	site     *site
	servers  map[string]*process // by side
	idle     map[string]float64  // MiB, by side
	jobs     map[cell]job
	database int    // PostgreSQL's main process; 0: none
	postgres func() // stops it
}

func newStage(ctx context.Context, engine, dir, binary, unrecorded string) (_ *stage, err error) {
	st := &stage{servers: map[string]*process{}, idle: map[string]float64{}, jobs: map[cell]job{}}
	defer func() {
		if err != nil {
			st.stop()
		}
	}()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	var postgres *heartlocktest.PostgresServer
	if engine == enginePostgres {
		if postgres, st.postgres, err = heartlocktest.LaunchPostgres(heartlocktest.PostgresOptions{Durable: true}); err != nil {
			return nil, err
		}
		st.database = postgres.PID()
	}
	if st.site, err = newSite(ctx, engine, dir, postgres); err != nil {
		return nil, err
	}
	heartlock, err := launchHeartlock(ctx, st.site, binary)
	if err != nil {
		return nil, err
	}
	if err := st.add(sideHeartlock, heartlock); err != nil {
		return nil, err
	}
	if err := st.site.fill(ctx, "http://"+heartlock.address); err != nil {
		return nil, err
	}
	without, err := launchHeartlock(ctx, st.site, unrecorded)
	if err != nil {
		return nil, err
	}
	if err := st.add(sideUnrecorded, without); err != nil {
		return nil, err
	}
	bare, err := launchFloor(ctx, st.site)
	if err != nil {
		return nil, err
	}
	return st, st.add(sideFloor, bare)
}

// add takes a server that has just started and notes what it weighs.
func (st *stage) add(side string, p *process) (err error) {
	st.servers[side] = p
	st.idle[side], _, err = memoryOf(p.pid())
	return err
}

// stop ends what is still running.
func (st *stage) stop() {
	for _, p := range st.servers {
		_ = p.stop()
	}
	if st.postgres != nil {
		st.postgres()
	}
}

// finish notes what the servers weighed at most, and what their handlers
// allocate.
func (st *stage) finish(ctx context.Context, f *figures) error {
	for side, p := range st.servers {
		_, peak, err := memoryOf(p.pid())
		if err != nil {
			return err
		}
		f.Memory[st.site.engine][side] = memory{Idle: st.idle[side], Peak: peak}
		if err := p.stop(); err != nil {
			return err
		}
	}
	clear(st.servers)
	return countAllocations(ctx, st.site, f)
}

const (
	shortestWarmUp = 100 * time.Millisecond
	warmUpPart     = 4 // of the measured time
)

func (st *stage) measure(ctx context.Context, l *load, c cell, length time.Duration, f *figures) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	j, err := st.job(ctx, c)
	if err != nil {
		return err
	}
	j.WarmUp, j.Length = max(shortestWarmUp, length/warmUpPart), length
	o, err := l.do(j)
	if err != nil {
		return err
	}
	if c.Work == workWrite {
		if err := st.verifyWrites(ctx, c, o.Last); err != nil {
			return err
		}
	}
	return f.add(c, o)
}

// job is what the load is asked to do for a cell.
func (st *stage) job(ctx context.Context, c cell) (job, error) {
	if j, ok := st.jobs[c]; ok {
		return j, nil
	}
	p := st.servers[c.Side]
	j := job{
		Address: p.address, Host: p.address, Clients: c.Clients, Server: p.pid(), Database: st.database,
		Status: http.StatusOK, Token: st.site.token.Reveal(),
	}
	var err error
	if c.Work == workWrite {
		j.Path = path(c.Side, writeEnv)
		for i := range c.Clients {
			j.Keys = append(j.Keys, clientKey(i))
		}
	} else {
		err = st.readJob(ctx, c, &j)
	}
	st.jobs[c] = j
	return j, err
}

// readJob asks once and checks the answer; all later ones must be the same.
func (st *stage) readJob(ctx context.Context, c cell, j *job) error {
	target, header := path(c.Side, readEnv), ""
	if c.Work == workOne {
		target = path(c.Side, readEnv, oneSecretKey)
	} else if c.Side != sideFloor {
		target += "?values=true"
	}
	body, tag, err := st.get(ctx, c.Side, target)
	if err != nil {
		return err
	}
	if err := st.checkValues(body, c.Work == workOne); err != nil {
		return err
	}
	j.Body = body
	if c.Work == workCurrent {
		j.Status, j.Body = http.StatusNotModified, nil
		header = "If-None-Match: " + tag + "\r\n"
	}
	j.Request = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n%s\r\n", target, j.Host, j.Token, header)
	return nil
}

// get makes one request with net/http.
func (st *stage) get(ctx context.Context, side, target string) (body []byte, tag string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+st.servers[side].address+target, http.NoBody)
	if err != nil {
		return nil, "", err
	}
	request.Header.Set("Authorization", "Bearer "+st.site.token.Reveal())
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("answer %s: %.300s", response.Status, body)
	}
	return body, response.Header.Get("ETag"), err
}

// checkValues compares an answer with what the database was filled with.
func (st *stage) checkValues(body []byte, one bool) error {
	var list floorList
	var err error
	if one {
		list.Results = make([]floorSecret, 1)
		err = json.Unmarshal(body, &list.Results[0])
	} else {
		err = json.Unmarshal(body, &list)
		if err == nil && len(list.Results) != readSecrets {
			err = fmt.Errorf("%d secrets instead of %d", len(list.Results), readSecrets)
		}
	}
	if err != nil {
		return err
	}
	for _, secret := range list.Results {
		if want, ok := st.site.secrets[readEnv][secret.Key]; !ok || secret.Value != want {
			return fmt.Errorf("the value of %s is wrong", secret.Key)
		}
	}
	return nil
}

// verifyWrites sees that what was acknowledged last is what is read.
func (st *stage) verifyWrites(ctx context.Context, c cell, last []string) error {
	for i, want := range last {
		body, _, err := st.get(ctx, c.Side, path(c.Side, writeEnv, clientKey(i)))
		if err != nil {
			return err
		}
		if want == "" || !bytes.Contains(body, []byte(`"`+want+`"`)) {
			return fmt.Errorf("an acknowledged write of %s is lost", clientKey(i))
		}
	}
	return nil
}
