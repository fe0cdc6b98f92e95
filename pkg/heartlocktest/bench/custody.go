//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/heartlock/heartlock/pkg/heartlocktest"
)

// custodyOptions is what the command line asks for of a measurement of what is
// done with all values at once: rotation, backup, restore.
type custodyOptions struct {
	engines []string
	sizes   []int // numbers of secrets
	rounds  int   // of each size but those from oneRoundFrom on
	binary  string
}

const (
	smallestMass = 1000
	oneRoundFrom = 500_000
	perMass      = 1000 // secrets of an environment
)

func parseCustodyFlags(args []string, out io.Writer) (custodyOptions, error) {
	var o custodyOptions
	set := flag.NewFlagSet("bench custody", flag.ContinueOnError)
	set.SetOutput(out)
	engines := set.String("engines", strings.Join(allEngines(), ","), "databases")
	sizes := set.String("secrets", "10000,100000,1000000", "numbers of secrets, each a multiple of 1000")
	set.IntVar(&o.rounds, "rounds", 3, "rounds of each number below 500000; each measures Heartlock and the floor in turn")
	set.StringVar(&o.binary, "heartlock", "", "measure this heartlock instead of building one")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.engines, err = choose(*engines, allEngines()); err != nil {
		return o, err
	}
	for _, text := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < smallestMass || n%perMass != 0 {
			return o, fmt.Errorf("-secrets: %q is not a multiple of %d", text, perMass)
		}
		o.sizes = append(o.sizes, n)
	}
	if set.NArg() > 0 || o.rounds < 1 {
		return o, errors.New("see -help")
	}
	return o, nil
}

// conductCustody is a whole run of it.
func conductCustody(ctx context.Context, o custodyOptions, out, progress io.Writer) (err error) {
	say := func(format string, args ...any) { fmt.Fprintf(progress, "bench: "+format+"\n", args...) }
	dir, err := os.MkdirTemp("", "heartlock-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.binary == "" {
		say("building heartlock")
		if o.binary, err = build(ctx, dir); err != nil {
			return err
		}
	}
	var results []custodyResult
	for _, engine := range o.engines {
		for _, size := range o.sizes {
			say("%s, %d secrets", engine, size)
			m, err := newMass(ctx, engine, size, filepath.Join(dir, fmt.Sprint(engine, size)), o.binary)
			if err != nil {
				return err
			}
			rounds := o.rounds
			if size >= oneRoundFrom {
				rounds = 1
			}
			r, err := m.measure(ctx, rounds, say)
			m.close()
			if err != nil {
				return fmt.Errorf("%s, %d secrets: %w", engine, size, err)
			}
			results = append(results, r)
		}
	}
	return reportCustody(results, out)
}

// mass is an installation with a great number of secrets, and a copy of its
// database for the floor.
type mass struct {
	site     *site
	binary   string
	size     int
	keys     []string // all that have sealed, the present one last
	floorKey []string // the same for the floor's copy
	database string   // file or URL
	postgres *heartlocktest.PostgresServer
	stop     func()
}

// custodyResult is what was measured of a mass.
type custodyResult struct {
	engine   string
	secrets  int
	loading  time.Duration
	rotation []rotationRound
	serving  serving
	backup   custodyBackup
}

// rotationRound is one rotation by Heartlock and one by the floor.
type rotationRound struct {
	reseal, verify, whole time.Duration
	peak                  float64 // MiB
	floor                 time.Duration
	floorPeak             float64
}

func (m *mass) measure(ctx context.Context, rounds int, say func(string, ...any)) (custodyResult, error) {
	r := custodyResult{engine: m.site.engine, secrets: m.size}
	start := time.Now()
	if err := m.load(ctx); err != nil {
		return r, err
	}
	r.loading = time.Since(start)
	var err error
	if r.serving, err = m.serve(ctx); err != nil {
		return r, err
	}
	for n := range rounds {
		var one rotationRound
		if err := m.settle(ctx); err != nil {
			return r, err
		}
		if err := m.rotate(ctx, &one); err != nil {
			return r, err
		}
		if err := m.settle(ctx); err != nil {
			return r, err
		}
		if err := m.rotateByHand(ctx, &one); err != nil {
			return r, err
		}
		say("round %d: %s", n+1, one.text(m.size))
		r.rotation = append(r.rotation, one)
	}
	r.backup, err = m.backUp(ctx)
	return r, err
}

func (o rotationRound) text(size int) string {
	return fmt.Sprintf("re-encrypted in %v (%.0f/s), verified in %v, %.0f MiB; by hand in %v (%.0f/s), %.0f MiB",
		o.reseal, perSecond(size, o.reseal), o.verify, o.peak, o.floor.Round(time.Millisecond), perSecond(size, o.floor), o.floorPeak)
}

func perSecond(n int, took time.Duration) float64 { return float64(n) / took.Seconds() }
