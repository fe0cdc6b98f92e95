//go:build linux

package main

// The databases that are measured.
const (
	engineSQLite   = "sqlite"
	enginePostgres = "postgres"
)

func allEngines() []string { return []string{engineSQLite, enginePostgres} }

// The kinds of request that are measured.
const (
	workOne         = "read-one"
	workEnvironment = "read-100"
	workCurrent     = "read-304" // the environment, by a client whose copy is current
	workWrite       = "write"
)

func allWorks() []string { return []string{workOne, workEnvironment, workCurrent, workWrite} }

// The servers.
const (
	sideHeartlock  = "heartlock"
	sideFloor      = "floor"
	sideUnrecorded = "unrecorded" // Heartlock without an audit trail of reads
)

// sidesOf are the servers that know a kind of request. The floor has no
// conditional reads; those are compared with the server's own full reads.
func sidesOf(work string) []string {
	switch work {
	case workCurrent:
		return []string{sideHeartlock}
	case workOne:
		return []string{sideHeartlock, sideUnrecorded, sideFloor}
	}
	return []string{sideHeartlock, sideFloor}
}

// What the databases hold. Every client writes a secret of its own.
const (
	projectSlug  = "bench"
	readEnv      = "production"
	writeEnv     = "staging"
	readSecrets  = 100
	maxClients   = 256
	oneSecretKey = "SECRET_050"
)

// cell is what is measured at a time.
type cell struct {
	Engine  string
	Work    string
	Clients int
	Side    string
}

// reference is what c is compared with.
func (c cell) reference() cell {
	if c.Work == workCurrent {
		c.Work = workEnvironment
		return c
	}
	c.Side = sideFloor
	return c
}

// metric is a figure of a measurement that a target speaks of.
type metric string

const (
	metricRate metric = "requests/s"
	metricP99  metric = "p99"
)

// target is a ratio that the design of the server promises.
type target struct {
	work    string
	clients int
	metric  metric
	want    float64
	most    bool   // want is the most, not the least
	only    string // the engine that it is for; empty: both
	single  bool   // compared with one client of the reference, not with as many
	against string // the side that it is compared with; empty: that of reference
}

func targets() []target {
	return []target{
		{work: workOne, clients: 16, metric: metricRate, want: 0.5},
		{work: workOne, clients: 16, metric: metricP99, want: 3, most: true},
		{work: workOne, clients: 16, metric: metricRate, want: 0.7, against: sideUnrecorded},
		{work: workEnvironment, clients: 16, metric: metricRate, want: 1.2},
		{work: workCurrent, clients: 16, metric: metricRate, want: 3},
		{work: workWrite, clients: 1, metric: metricRate, want: 0.8},
		{work: workWrite, clients: 16, metric: metricRate, want: 3, only: engineSQLite, single: true},
	}
}

// Bounds on the resident memory of the server, in MiB: at rest, and at the most
// over the whole run.
const (
	mostIdleMiB = 40
	mostPeakMiB = 150
)
