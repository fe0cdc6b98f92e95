package server

import (
	"errors"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)
	var b backoff
	if !b.ready(now) {
		t.Error("it has to wait before the first try")
	}
	failure := errors.New("x")
	for _, pause := range []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute} {
		b.note(now, failure)
		if b.ready(now.Add(pause-time.Second)) || !b.ready(now.Add(pause)) {
			t.Errorf("after a failure it waits until %v, want %v", b.until.Sub(now), pause)
		}
		now = now.Add(pause)
	}
	for range 10 {
		b.note(now, failure)
	}
	if b.pause != longestPause {
		t.Errorf("it waits %v", b.pause)
	}
	if b.note(now, nil); !b.ready(now) {
		t.Error("it has to wait after a success")
	}
}
