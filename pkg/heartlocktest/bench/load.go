//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// job is what the load process is asked to do: as many requests as it can, from
// a number of clients that each wait for one answer before the next request.
type job struct {
	Address  string
	Clients  int
	WarmUp   time.Duration // not counted
	Length   time.Duration
	Server   int // process whose time is counted
	Database int // process whose children's time is counted; 0: none

	// A read sends Request and wants exactly Status and Body.
	Request []byte
	Status  int
	Body    []byte

	// A write, if Keys is not empty, sends a PUT to Path with a key of its own
	// for each client, and a value that was never there before.
	Path  string
	Host  string
	Token string
	Keys  []string
}

// outcome is what came of a job.
type outcome struct {
	Requests    int
	Elapsed     time.Duration
	P50, P99    time.Duration
	ServerCPU   time.Duration
	DatabaseCPU time.Duration
	Last        []string // per client: the value that was acknowledged last
	Error       string   // what stopped the job; nothing else counts then
}

// serveLoad does one job after the other until there are no more.
func serveLoad(in io.Reader, out io.Writer) error {
	jobs, outcomes := gob.NewDecoder(in), gob.NewEncoder(out)
	for {
		var j job
		if err := jobs.Decode(&j); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		o, err := j.run()
		if err != nil {
			o.Error = err.Error()
		}
		if err := outcomes.Encode(o); err != nil {
			return err
		}
	}
}

// The phases of a job.
const (
	phaseWarmUp int32 = iota
	phaseCount
	phaseEnd
)

func (j *job) run() (outcome, error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var phase atomic.Int32
	var group sync.WaitGroup
	clients := make([]*loadClient, j.Clients)
	for i := range clients {
		clients[i] = &loadClient{job: j, number: i, phase: &phase}
		group.Go(func() {
			if err := clients[i].run(); err != nil {
				cancel(fmt.Errorf("client %d: %w", i, err))
			}
		})
	}
	o, err := j.conduct(ctx, &phase)
	phase.Store(phaseEnd)
	group.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return outcome{}, cause
	}
	o.collect(clients)
	return o, err
}

// conduct lets the time pass and reads the clocks.
func (j *job) conduct(ctx context.Context, phase *atomic.Int32) (o outcome, err error) {
	wait(ctx, j.WarmUp)
	server, database, err := j.clocks()
	if err != nil {
		return o, err
	}
	start := time.Now()
	phase.Store(phaseCount)
	wait(ctx, j.Length)
	phase.Store(phaseEnd)
	o.Elapsed = time.Since(start)
	if o.ServerCPU, o.DatabaseCPU, err = j.clocks(); err != nil {
		return o, err
	}
	o.ServerCPU -= server
	o.DatabaseCPU -= database
	return o, nil
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (j *job) clocks() (server, database time.Duration, err error) {
	if server, err = cpuOf(j.Server); err != nil || j.Database == 0 {
		return server, 0, err
	}
	database, err = cpuOfChildren(j.Database)
	return server, database, err
}

func (o *outcome) collect(clients []*loadClient) {
	var all []time.Duration
	for _, c := range clients {
		all = append(all, c.took...)
		o.Last = append(o.Last, c.last)
	}
	slices.Sort(all)
	o.Requests = len(all)
	if len(all) > 0 {
		o.P50, o.P99 = all[len(all)/2], all[len(all)*99/100]
	}
}

// loadClient is one client of a job with its connection.
type loadClient struct {
	job    *job
	number int
	phase  *atomic.Int32
	took   []time.Duration
	last   string
}

func (c *loadClient) run() error {
	conn, err := net.Dial("tcp", c.job.Address)
	if err != nil {
		return err
	}
	defer conn.Close()
	const patience = 30 * time.Second
	if err := conn.SetDeadline(time.Now().Add(c.job.WarmUp + c.job.Length + patience)); err != nil {
		return err
	}
	answers := &answerReader{r: bufio.NewReaderSize(conn, 64<<10)}
	session := rand.Text()
	for n := 0; c.phase.Load() != phaseEnd; n++ {
		value := fmt.Sprintf("%s%026d", session, n)
		start := time.Now()
		if _, err := conn.Write(c.request(value)); err != nil {
			return err
		}
		if err := c.check(answers); err != nil {
			return err
		}
		c.last = value
		if c.phase.Load() == phaseCount {
			c.took = append(c.took, time.Since(start))
		}
	}
	return nil
}

func (c *loadClient) request(value string) []byte {
	if len(c.job.Keys) == 0 {
		return c.job.Request
	}
	body := `{"value":"` + value + `"}`
	return fmt.Appendf(nil, "PUT %s%s/ HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		c.job.Path, c.job.Keys[c.number], c.job.Host, c.job.Token, len(body), body)
}

func (c *loadClient) check(answers *answerReader) error {
	status, body, err := answers.next()
	switch {
	case err != nil:
		return err
	case status != c.job.Status:
		return fmt.Errorf("answer %d instead of %d: %.300s", status, c.job.Status, body)
	case c.job.Body != nil && !bytes.Equal(body, c.job.Body):
		return errors.New("an answer differs from the first one")
	}
	return nil
}
