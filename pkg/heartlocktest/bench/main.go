//go:build linux

// Command bench measures a Heartlock server against the floor: a bare net/http
// server, started by its side on the same machine and the same kind of database,
// that does by hand only what can not be left out. `make bench` runs it;
// docs/performance.md explains what is measured and what the figures mean.
//
// It needs Linux, whose /proc it reads, and a PostgreSQL server. Everything it
// starts is gone when it ends, and so are the files.
//
// The program has several roles, chosen by its first argument: without one it
// conducts the run, as "floor" it is the floor server, as "load" it is the
// clients. Load and servers are processes of their own, so that no one's garbage
// collector works for another.
//
// With "custody" it measures what is done with all values at once instead: the
// rotation of the key of up to a million secrets, against the same done by hand.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case roleFloor:
			return serveFloor(ctx, os.Stdin, os.Stdout)
		case roleLoad:
			return serveLoad(os.Stdin, os.Stdout)
		case roleByHand:
			return serveByHand(ctx, os.Stdin, os.Stdout)
		case "custody":
			o, err := parseCustodyFlags(args[1:], os.Stderr)
			if err != nil {
				return err
			}
			return conductCustody(ctx, o, os.Stdout, os.Stderr)
		}
	}
	o, err := parseFlags(args, os.Stderr)
	if err != nil {
		return err
	}
	return conduct(ctx, o, os.Stdout, os.Stderr)
}

// The roles of the program's child processes.
const (
	roleFloor  = "floor"
	roleLoad   = "load"
	roleByHand = "by-hand"
)

// options is what the command line asks for.
type options struct {
	rounds  int
	length  time.Duration // that is measured of each cell in each round
	engines []string
	works   []string
	clients []int
	binary  string // a built heartlock; empty: build it
	json    string // file for the figures; empty: none
}

func parseFlags(args []string, out io.Writer) (options, error) {
	var o options
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.SetOutput(out)
	set.IntVar(&o.rounds, "rounds", 5, "rounds; each measures every cell once, server and floor in turn")
	set.DurationVar(&o.length, "length", 700*time.Millisecond, "time that each cell is measured in a round")
	quick := set.Bool("quick", false, "a rough look in under a minute: 2 rounds of 250ms")
	engines := set.String("engines", strings.Join(allEngines(), ","), "databases")
	works := set.String("work", strings.Join(allWorks(), ","), "kinds of request")
	clients := set.String("clients", "1,16,64", "numbers of concurrent clients")
	set.StringVar(&o.binary, "heartlock", "", "measure this heartlock instead of building one")
	set.StringVar(&o.json, "json", "", "write every figure to this file")
	if err := set.Parse(args); err != nil {
		return o, err
	}
	if set.NArg() > 0 {
		return o, fmt.Errorf("%q is not understood; see -help", set.Arg(0))
	}
	if *quick {
		o.rounds, o.length = 2, 250*time.Millisecond
	}
	var err error
	if o.engines, err = choose(*engines, allEngines()); err != nil {
		return o, err
	}
	if o.works, err = choose(*works, allWorks()); err != nil {
		return o, err
	}
	for _, text := range strings.Split(*clients, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxClients {
			return o, fmt.Errorf("-clients: %q is not a number from 1 to %d", text, maxClients)
		}
		o.clients = append(o.clients, n)
	}
	if o.rounds < 1 || o.length < 50*time.Millisecond {
		return o, errors.New("at least one round of 50ms is needed")
	}
	return o, nil
}

// choose splits a list and checks that its items are known.
func choose(list string, known []string) ([]string, error) {
	chosen := strings.Split(list, ",")
	for _, name := range chosen {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("%q is none of %s", name, strings.Join(known, ", "))
		}
	}
	return chosen, nil
}
