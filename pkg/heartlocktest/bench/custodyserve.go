//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"time"

	"github.com/heartlock/heartlock/pkg/client"
)

// serving is how a server does with a mass: one client, one request at a time.
type serving struct {
	ready     time.Duration // from the start of the process
	list, one []time.Duration
	memory    float64 // MiB, at most
}

const askedOf = 200 // requests of each kind, for places chosen at random

func (m *mass) serve(ctx context.Context) (v serving, err error) {
	start := time.Now()
	p, err := launchHeartlock(ctx, m.site, m.binary)
	if err != nil {
		return v, err
	}
	v.ready = time.Since(start)
	defer func() { err = errors.Join(err, p.stop()) }()
	c, err := client.New(client.Options{Server: "http://" + p.address, Token: m.site.owner})
	if err != nil {
		return v, err
	}
	defer c.Close()
	random := rand.New(rand.NewSource(1)) // the same places in every run
	for range askedOf {
		n := random.Intn(m.size / perMass)
		e := client.Environment{Project: fmt.Sprintf("mass-%d", n/100), Slug: fmt.Sprintf("e-%d", n%100)}
		start := time.Now()
		list, err := c.Secrets(ctx, e, client.ListSecrets{Values: true})
		if err != nil || len(list.Results) != perMass {
			return v, fmt.Errorf("%d secrets in %s: %w", len(list.Results), e, err)
		}
		v.list = append(v.list, time.Since(start))
	}
	for range askedOf {
		n := random.Intn(m.size / perMass)
		e := client.Environment{Project: fmt.Sprintf("mass-%d", n/100), Slug: fmt.Sprintf("e-%d", n%100)}
		start := time.Now()
		if _, err := c.Secret(ctx, e, fmt.Sprintf("KEY_%04d", random.Intn(perMass))); err != nil {
			return v, err
		}
		v.one = append(v.one, time.Since(start))
	}
	slices.Sort(v.list)
	slices.Sort(v.one)
	_, v.memory, err = memoryOf(p.pid())
	return v, err
}

// at is the value that the given percentage of a sorted list does not exceed, in
// milliseconds.
func at(sorted []time.Duration, percent int) float64 {
	return float64(sorted[(len(sorted)-1)*percent/100]) / float64(time.Millisecond)
}
