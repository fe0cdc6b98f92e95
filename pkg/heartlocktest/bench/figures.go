//go:build linux

package main

import (
	"errors"
	"slices"
	"time"
)

// sample is one measurement of a cell.
type sample struct {
	Requests    int
	Rate        float64 // requests a second
	P50, P99    float64 // microseconds
	ServerCPU   float64 // milliseconds for 1,000 requests
	DatabaseCPU float64 // the same, of PostgreSQL's processes
}

// memory is the resident memory of a server in MiB: before the first request,
// and at its highest.
type memory struct{ Idle, Peak float64 }

// allocation is what a handler allocates for one request.
type allocation struct{ Objects, Bytes float64 }

// figures is everything that a run has found out. The samples of a cell are in
// the order of the rounds.
type figures struct {
	Samples     map[cell][]sample                           `json:"-"`
	Memory      map[string]map[string]memory                // by engine and side
	Allocations map[string]map[string]map[string]allocation // by engine, side and work
}

func newFigures() *figures {
	return &figures{
		Samples: map[cell][]sample{}, Memory: map[string]map[string]memory{},
		Allocations: map[string]map[string]map[string]allocation{},
	}
}

func (f *figures) add(c cell, o outcome) error {
	if o.Requests == 0 {
		return errors.New("not one request was answered in time")
	}
	thousands := float64(o.Requests) / 1000
	f.Samples[c] = append(f.Samples[c], sample{
		Requests: o.Requests, Rate: float64(o.Requests) / o.Elapsed.Seconds(),
		P50: micros(o.P50), P99: micros(o.P99),
		ServerCPU: millis(o.ServerCPU) / thousands, DatabaseCPU: millis(o.DatabaseCPU) / thousands,
	})
	return nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// median is that of one figure over the rounds; 0 if c was not measured.
func (f *figures) median(c cell, of func(sample) float64) float64 {
	var values []float64
	for _, s := range f.Samples[c] {
		values = append(values, of(s))
	}
	return median(values)
}

// ratio is the median of the rounds' ratios of one figure, c's to that of
// reference; 0 if one of them was not measured.
func (f *figures) ratio(c, reference cell, of func(sample) float64) float64 {
	a, b := f.Samples[c], f.Samples[reference]
	var values []float64
	for i := range min(len(a), len(b)) {
		values = append(values, of(a[i])/of(b[i]))
	}
	return median(values)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

func rate(s sample) float64 { return s.Rate }
func p50(s sample) float64  { return s.P50 }
func p99(s sample) float64  { return s.P99 }

// verdict is a target beside what was measured.
type verdict struct {
	Engine  string
	Work    string
	Clients int
	Metric  string
	Target  float64
	Most    bool
	Figure  float64
	Reached bool
}

// judge compares the run with the targets that it has figures for.
func (f *figures) judge(engines []string) []verdict {
	var verdicts []verdict
	for _, engine := range engines {
		for _, t := range targets() {
			if t.only != "" && t.only != engine {
				continue
			}
			c := cell{Engine: engine, Work: t.work, Clients: t.clients, Side: sideHeartlock}
			reference := c.reference()
			if t.against != "" {
				reference.Side = t.against
			}
			if t.single {
				reference.Clients = 1
			}
			of := rate
			if t.metric == metricP99 {
				of = p99
			}
			if ratio := f.ratio(c, reference, of); ratio > 0 {
				verdicts = append(verdicts, newVerdict(c, t, ratio))
			}
		}
	}
	return verdicts
}

func newVerdict(c cell, t target, ratio float64) verdict {
	name := string(t.metric) + " to the floor's"
	switch {
	case t.work == workCurrent:
		name = string(t.metric) + " to the full read's"
	case t.against == sideUnrecorded:
		name = string(t.metric) + " to those without an audit trail"
	case t.single:
		name += " with 1 client"
	}
	reached := ratio >= t.want
	if t.most {
		reached = ratio <= t.want
	}
	return verdict{
		Engine: c.Engine, Work: t.work, Clients: t.clients, Metric: name,
		Target: t.want, Most: t.most, Figure: ratio, Reached: reached,
	}
}
