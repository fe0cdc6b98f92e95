//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"text/tabwriter"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// report prints the tables, and writes the file if one was asked for.
func report(o options, f *figures, out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, part := range []func(options, *figures, io.Writer){reportLoad, reportAudit, reportHandlers, reportMemory, reportTargets} {
		part(o, f, w)
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if o.json == "" {
		return nil
	}
	return writeJSON(o, f)
}

func reportLoad(o options, f *figures, w io.Writer) {
	fmt.Fprintf(w, "\nHeartlock beside the floor: medians of %d rounds of %v, on %d processors (%s)\n", o.rounds, o.length, runtime.NumCPU(), runtime.Version())
	fmt.Fprintln(w, "Ratio: the median of the rounds' ratios; of read-304, to the full read.\n ")
	fmt.Fprintln(w, "engine\twork\tclients\trequests/s\tfloor\tratio\tp50 µs\tfloor\tp99 µs\tfloor\tCPU ms/1000\tfloor\tdatabase\tfloor\t")
	for _, engine := range o.engines {
		for _, work := range o.works {
			for _, clients := range o.clients {
				reportCell(f, cell{Engine: engine, Work: work, Clients: clients, Side: sideHeartlock}, w)
			}
		}
	}
}

func reportCell(f *figures, c cell, w io.Writer) {
	floor := c
	floor.Side = sideFloor
	fmt.Fprintf(w, "%s\t%s\t%d\t", c.Engine, c.Work, c.Clients)
	pair := func(of func(sample) float64) {
		fmt.Fprintf(w, "%s\t%s\t", number(f.median(c, of)), number(f.median(floor, of)))
	}
	pair(rate)
	fmt.Fprintf(w, "%.2f\t", f.ratio(c, c.reference(), rate))
	pair(p50)
	pair(p99)
	pair(func(s sample) float64 { return s.ServerCPU })
	pair(func(s sample) float64 { return s.DatabaseCPU })
	fmt.Fprintln(w)
}

// reportAudit says what the audit trail of reads costs: the same server over the
// same database, with and without.
func reportAudit(o options, f *figures, w io.Writer) {
	fmt.Fprintln(w, "\nReads of one secret with an audit trail and without\n ")
	fmt.Fprintln(w, "engine\tclients\trequests/s\twithout\tratio\tp99 µs\twithout\t")
	for _, engine := range o.engines {
		for _, clients := range o.clients {
			c := cell{Engine: engine, Work: workOne, Clients: clients, Side: sideHeartlock}
			without := c
			without.Side = sideUnrecorded
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%.2f\t%s\t%s\t\n", engine, clients, number(f.median(c, rate)), number(f.median(without, rate)),
				f.ratio(c, without, rate), number(f.median(c, p99)), number(f.median(without, p99)))
		}
	}
}

func number(x float64) string {
	if x == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f", x)
}

func reportHandlers(o options, f *figures, w io.Writer) {
	fmt.Fprintln(w, "\nAllocations for a request, of the handlers alone, with one client\n ")
	fmt.Fprintln(w, "engine\twork\tobjects\tfloor\tKiB\tfloor\t")
	for _, engine := range o.engines {
		for _, work := range o.works {
			own, floor := f.Allocations[engine][sideHeartlock][work], f.Allocations[engine][sideFloor][work]
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1f\t%.1f\t\n", engine, work, number(own.Objects), number(floor.Objects), own.Bytes/1024, floor.Bytes/1024)
		}
	}
}

func reportMemory(o options, f *figures, w io.Writer) {
	fmt.Fprintln(w, "\nResident memory, MiB\n ")
	fmt.Fprintln(w, "engine\tidle\tfloor\tpeak\tfloor\t")
	for _, engine := range o.engines {
		m := f.Memory[engine]
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\t%.0f\t\n", engine,
			m[sideHeartlock].Idle, m[sideFloor].Idle, m[sideHeartlock].Peak, m[sideFloor].Peak)
	}
}

func reportTargets(o options, f *figures, w io.Writer) {
	fmt.Fprintln(w, "\nTargets\n ")
	fmt.Fprintln(w, "engine\twork\tclients\tfigure\ttarget\tmeasured\t\t")
	for _, v := range f.judge(o.engines) {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s %.1f\t%.2f\t%s\t\n", v.Engine, v.Work, v.Clients, v.Metric, bound(v.Most), v.Target, v.Figure, passed(v.Reached))
	}
	for _, engine := range o.engines {
		m := f.Memory[engine][sideHeartlock]
		fmt.Fprintf(w, "%s\tmemory\t\tidle, MiB\t<= %d\t%.0f\t%s\t\n", engine, mostIdleMiB, m.Idle, passed(m.Idle <= mostIdleMiB))
		fmt.Fprintf(w, "%s\tmemory\t\tpeak, MiB\t<= %d\t%.0f\t%s\t\n", engine, mostPeakMiB, m.Peak, passed(m.Peak <= mostPeakMiB))
	}
}

func bound(most bool) string {
	if most {
		return "<="
	}
	return ">="
}

func passed(ok bool) string {
	if ok {
		return "pass"
	}
	return "SHORT"
}

// writeJSON writes every sample to a file, for comparing runs.
func writeJSON(o options, f *figures) error {
	type row struct {
		cell
		Rounds []sample
	}
	document := struct {
		Go         string
		Processors int
		Rounds     int
		Length     string
		Cells      []row
		figures    `json:",inline"`
		Targets    []verdict
	}{
		Go: runtime.Version(), Processors: runtime.NumCPU(), Rounds: o.rounds, Length: o.length.String(),
		figures: *f, Targets: f.judge(o.engines),
	}
	for _, engine := range o.engines {
		for _, work := range o.works {
			for _, clients := range o.clients {
				for _, side := range sidesOf(work) {
					c := cell{Engine: engine, Work: work, Clients: clients, Side: side}
					document.Cells = append(document.Cells, row{c, f.Samples[c]})
				}
			}
		}
	}
	file, err := os.Create(o.json)
	if err != nil {
		return err
	}
	if err := json.MarshalWrite(file, document, jsontext.WithIndent("  ")); err != nil {
		return err
	}
	return file.Close()
}
