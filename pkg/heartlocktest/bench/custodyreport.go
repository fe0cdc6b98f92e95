//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// leastOfByHand is the part of the floor's rows/s that a rotation promises.
const leastOfByHand = 0.6

// reportCustody prints the tables of a run, as Markdown.
func reportCustody(results []custodyResult, out io.Writer) error {
	var b strings.Builder
	b.WriteString("| database | secrets | re-encrypted/s | by hand | ratio | verified/s | whole command | peak MiB | by hand |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	short := 0
	for _, r := range results {
		pick := func(of func(rotationRound) float64) float64 {
			all := make([]float64, len(r.rotation))
			for i, one := range r.rotation {
				all[i] = of(one)
			}
			slices.Sort(all)
			return all[len(all)/2]
		}
		per := func(of func(rotationRound) time.Duration) float64 {
			return pick(func(one rotationRound) float64 { return perSecond(r.secrets, of(one)) })
		}
		ratio := pick(func(one rotationRound) float64 { return one.floor.Seconds() / one.reseal.Seconds() })
		if ratio < leastOfByHand {
			short++
		}
		fmt.Fprintf(&b, "| %s | %d | %.0f | %.0f | %.2f | %.0f | %.1f s | %.0f | %.0f |\n", r.engine, r.secrets,
			per(func(one rotationRound) time.Duration { return one.reseal }), per(func(one rotationRound) time.Duration { return one.floor }), ratio,
			per(func(one rotationRound) time.Duration { return one.verify }), pick(func(one rotationRound) float64 { return one.whole.Seconds() }),
			pick(func(one rotationRound) float64 { return one.peak }), pick(func(one rotationRound) float64 { return one.floorPeak }))
	}
	b.WriteString("\n| database | secrets | ready after | 1000 values, p50 ms | p95 ms | one value, p50 ms | p95 ms | peak MiB |\n|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range results {
		v := r.serving
		fmt.Fprintf(&b, "| %s | %d | %.0f ms | %.1f | %.1f | %.2f | %.2f | %.0f |\n", r.engine, r.secrets, v.ready.Seconds()*1000,
			at(v.list, 50), at(v.list, 95), at(v.one, 50), at(v.one, 95), v.memory)
	}
	b.WriteString("\n| database | secrets | backup | MiB | peak MiB | longest write | restore | peak MiB |\n|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range results {
		v := r.backup
		fmt.Fprintf(&b, "| %s | %d | %.1f s | %.1f | %.0f | %.0f ms | %.1f s | %.0f |\n", r.engine, r.secrets, v.backup.took.Seconds(),
			float64(v.bytes)/(1<<20), v.backup.peak, v.longestWrite.Seconds()*1000, v.restore.took.Seconds(), v.restore.peak)
	}
	fmt.Fprintf(&b, "\nRe-encryption, rows/s to those by hand, at least %.1f: reached by %d of %d.\n", leastOfByHand, len(results)-short, len(results))
	_, err := io.WriteString(out, b.String())
	return err
}
