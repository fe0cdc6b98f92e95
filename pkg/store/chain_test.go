package store_test

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// Every column of an event is under its MAC, so that a column that is added later
// is not forgotten.
func TestAMACIsOverEveryColumn(t *testing.T) {
	t.Parallel()
	event := store.AuditEvent{ID: 7, At: 5, Actor: store.Actor{Kind: "user", ID: "1", Name: "n"}, Action: "a"}
	mac := func(e store.AuditEvent) []byte { return store.NewChainer(store.NoChainKey()).Event(nil, &e) }
	want := mac(event)
	for _, change := range changesOf(t, reflect.ValueOf(&event).Elem(), "") {
		changed := event
		change.make(reflect.ValueOf(&changed).Elem())
		if bytes.Equal(mac(changed), want) {
			t.Errorf("the MAC is not over %s", change.name)
		}
	}
	if bytes.Equal(store.NewChainer(bytes.Repeat([]byte{1}, 32)).Event(nil, &event), want) {
		t.Error("the MAC does not depend on the key")
	}
	if bytes.Equal(store.NewChainer(store.NoChainKey()).Event([]byte{0}, &event), want) {
		t.Error("the MAC does not depend on the one before")
	}
}

type fieldChange struct {
	name string
	make func(reflect.Value)
}

// changesOf is one change for each field of a struct, also of those in it.
func changesOf(t *testing.T, v reflect.Value, prefix string) (changes []fieldChange) {
	t.Helper()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch {
		case name == "BaseModel" || name == "MAC":
		case v.Field(i).Kind() == reflect.Struct:
			for _, inner := range changesOf(t, v.Field(i), prefix+name+".") {
				changes = append(changes, fieldChange{inner.name, func(v reflect.Value) { inner.make(v.Field(i)) }})
			}
		case v.Field(i).Kind() == reflect.String:
			changes = append(changes, fieldChange{prefix + name, func(v reflect.Value) { v.Field(i).SetString(v.Field(i).String() + "x") }})
		case v.Field(i).CanInt():
			changes = append(changes, fieldChange{prefix + name, func(v reflect.Value) { v.Field(i).SetInt(v.Field(i).Int() + 1) }})
		default:
			t.Fatalf("nobody knows how to change %s%s", prefix, name)
		}
	}
	return changes
}

// Two texts beside each other are not taken for one: what is shifted from one
// column into the next gives another MAC.
func TestAMACKeepsColumnsApart(t *testing.T) {
	t.Parallel()
	c := store.NewChainer(store.NoChainKey())
	if bytes.Equal(c.Event(nil, &store.AuditEvent{Action: "ab", Outcome: "c"}), c.Event(nil, &store.AuditEvent{Action: "a", Outcome: "bc"})) {
		t.Error("ab, c has the MAC of a, bc")
	}
}

// chained fails unless the events are one chain without gaps from the first on.
func (w *world) chained(t *testing.T, n int) {
	t.Helper()
	row := must(w.AuditChain(t.Context()))
	c := store.NewChainer(store.NoChainKey())
	previous, next := row.FirstMAC, row.FirstID
	err := w.EachAuditEvent(t.Context(), store.AuditFilter{}, func(e *store.AuditEvent) error {
		if e.ID != next || !bytes.Equal(e.MAC, c.Event(previous, e)) {
			return fmt.Errorf("event %d is not the one that follows %d", e.ID, next-1)
		}
		previous, next = bytes.Clone(e.MAC), next+1
		return nil
	})
	if err != nil {
		t.Fatal(fault.Detail(err))
	}
	equal(t, "events", int(next-row.FirstID), n)
	equal(t, "the last one", row.LastID, next-1)
	equal(t, "the last MAC", row.LastMAC, previous)
	equal(t, "the MAC of the row", row.HeadMAC, c.Head(row))
}

// TestManyWritersMakeOneChain has transactions and recorders of two stores over
// one database write at once; some of the transactions fail.
func TestManyWritersMakeOneChain(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		stores := []*store.Store{w.Store, w.Store}
		if w.Engine() == store.PostgreSQL { // SQLite has one server
			stores[1] = opened(t, w.options)
		}
		const writers, each = 16, 25
		var all sync.WaitGroup
		for i, s := range stores {
			recorder := store.NewRecorder(s)
			t.Cleanup(recorder.Close)
			for j := range writers / 2 {
				all.Go(func() { w.writeEvents(t, s, recorder, i*writers+j, each) })
			}
		}
		all.Wait()
		w.chained(t, 2*writers*each)
	})
}

// writeEvents writes two events at a time: in a transaction, and by the recorder.
func (w *world) writeEvents(t *testing.T, s *store.Store, recorder *store.Recorder, number, n int) {
	t.Helper()
	ctx := within(t, time.Minute)
	for i := range n {
		event := store.AuditEvent{At: store.Micros(i), Action: fmt.Sprint("of ", number)}
		failing := s.Write(ctx, func(ctx context.Context, tx store.Tx) error {
			if err := tx.InsertAuditEvents(ctx, []store.AuditEvent{event}); err != nil {
				return err
			}
			return errReleased
		})
		if failing != errReleased {
			t.Error(failing)
		}
		if err := s.Write(ctx, func(ctx context.Context, tx store.Tx) error {
			return tx.InsertAuditEvents(ctx, []store.AuditEvent{event})
		}); err != nil {
			t.Error(fault.Detail(err))
		}
		if err := recorder.Record(ctx, event); err != nil {
			t.Error(fault.Detail(err))
		}
	}
}

// Rows that somebody has put behind the chain keep nobody from going on.
func TestAForeignRowDoesNotStopTheChain(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		add := func() {
			t.Helper()
			w.write(t, func(ctx context.Context, tx store.Tx) error {
				return tx.InsertAuditEvents(ctx, []store.AuditEvent{{Action: "x"}})
			})
		}
		add()
		mustWrite(t, w.Store, `INSERT INTO audit_events (id, at, actor_kind, actor_id, actor_name, action, outcome, project_id,
environment_name, target, detail, ip, user_agent, request_id) VALUES (2, 1, '', '', '', 'forged', '', '', '', '', '', '', '', '')`)
		add()
		add()
		mustInt(t, w.Queries, "SELECT max(id) FROM audit_events", 4)
		mustInt(t, w.Queries, "SELECT last_id FROM audit_chain", 4)
		mustInt(t, w.Queries, "SELECT count(*) FROM audit_events WHERE mac IS NOT NULL", 3)
	})
}

// Events from before the chain stay as they are.
func TestAChainBeginsBehindWhatIsThere(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		mustWrite(t, w.Store, `INSERT INTO audit_events (id, at, actor_kind, actor_id, actor_name, action, outcome, project_id,
environment_name, target, detail, ip, user_agent, request_id) VALUES (5, 1, '', '', '', 'old', '', '', '', '', '', '', '', '')`)
		w.write(t, func(ctx context.Context, tx store.Tx) error {
			return tx.InsertAuditEvents(ctx, []store.AuditEvent{{Action: "x"}})
		})
		mustInt(t, w.Queries, "SELECT first_id FROM audit_chain", 6)
		mustInt(t, w.Queries, "SELECT count(*) FROM audit_events WHERE mac IS NULL", 1)
	})
}
