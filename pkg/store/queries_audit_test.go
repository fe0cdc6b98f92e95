package store_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/heartlock/heartlock/pkg/store"
)

func TestAuditEventsAreFiltered(t *testing.T) {
	t.Parallel()
	eachWorld(t, func(t *testing.T, w *world) {
		var events []store.AuditEvent
		for i := range 12 {
			events = append(events, store.AuditEvent{
				At: store.Micros(100 + i), Actor: store.Actor{Kind: "user", ID: id(1 + i%2), Name: "n"},
				Action: []string{"read", "write", "delete"}[i%3], Outcome: "success", ProjectID: []string{w.shop.ID, w.lab.ID}[i/6],
				EnvironmentName: "development", Target: fmt.Sprint(i), Detail: `{"k":"v"}`, IP: "192.0.2.1", UserAgent: "ua", RequestID: "r",
			})
		}
		w.write(t, func(ctx context.Context, tx store.Tx) error { return tx.InsertAuditEvents(ctx, events) })
		at := func(m store.Micros) *store.Micros { return &m }
		all := must(w.AuditEvents(t.Context(), store.AuditFilter{Limit: 100}))
		for _, c := range []struct {
			what   string
			filter store.AuditFilter
			want   []string
		}{
			{"a project's", store.AuditFilter{ProjectID: w.shop.ID}, []string{"5", "4", "3", "2", "1", "0"}},
			{"of an actor", store.AuditFilter{ProjectID: w.shop.ID, ActorID: id(2)}, []string{"5", "3", "1"}},
			{"of an action", store.AuditFilter{ProjectID: w.lab.ID, Action: "read"}, []string{"9", "6"}},
			{"of both", store.AuditFilter{ActorID: id(1), Action: "read"}, []string{"6", "0"}},
			{"from a time on", store.AuditFilter{From: at(109)}, []string{"11", "10", "9"}},
			{"before a time", store.AuditFilter{To: at(102)}, []string{"1", "0"}},
			{"between", store.AuditFilter{From: at(103), To: at(105)}, []string{"4", "3"}},
			{"a page", store.AuditFilter{ProjectID: w.shop.ID, Before: all[7].ID, Limit: 2}, []string{"3", "2"}},
			{"an unknown actor's", store.AuditFilter{ActorID: "x' OR '1'='1"}, []string{}},
		} {
			if c.filter.Limit == 0 {
				c.filter.Limit = 100
			}
			rows := must(w.AuditEvents(t.Context(), c.filter))
			equal(t, c.what, column(rows, func(e store.AuditEvent) string { return e.Target }), c.want)
		}
		first := events[0]
		first.ID, first.MAC = all[11].ID, all[11].MAC
		equal(t, "the whole event", all[11], first)
	})
}
