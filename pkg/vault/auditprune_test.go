package vault_test

import (
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

// prunes has the vault keep events for a day, and a clock that is so far ahead.
func (h *house) prunes(t *testing.T, ahead time.Duration) {
	t.Helper()
	h.auditAge = 24 * time.Hour
	h.now = func() time.Time { return time.Now().Add(ahead) }
	h.Vault = must(h.vault(t, h.ring))
}

// What has had its time goes from the beginning of the trail, and what stays is
// still one chain.
func TestOldEventsGo(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.addEvents(t, 12_000) // more than two batches
		head := h.sound(t, "before").Head
		h.prunes(t, 0)
		maintained(t, h)
		equal(t, "prunings of what is young", h.count(t, "audit_events WHERE action = 'audit.prune'"), 0)

		h.prunes(t, 48*time.Hour)
		maintained(t, h)
		found := h.sound(t, "after")
		equal(t, "from before the chain", found.Uncovered, int64(0))
		equal(t, "prunings", h.count(t, "audit_events WHERE action = 'audit.prune'"), 3)
		equal(t, "events", h.count(t, "audit_events"), 1+3) // the newest of the old ones stays
		equal(t, "an expected place that stayed", problems(h.verified(t, &head)), []string(nil))
		maintained(t, h)
		equal(t, "events after another", h.count(t, "audit_events"), 1+3)
	})
}

// Who removes events himself, as if they had had their time, is found out.
func TestARemovalThatIsNotRecordedIsFound(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.addEvents(t, 20)
		h.prunes(t, 48*time.Hour)
		maintained(t, h)
		h.addEvents(t, 20)
		h.sound(t, "pruned")
		oldest := h.count(t, "(SELECT min(id) FROM audit_events) AS x") // one row
		equal(t, "rows", oldest, 1)
		h.exec(t, "DELETE FROM audit_events WHERE id = (SELECT min(id) FROM audit_events) AND id > ?", 0)
		if found := h.verified(t, nil); found.OK() || found.Problems[0].Kind != vault.EventMissing {
			t.Errorf("found %q", problems(found))
		}
	})
}

// A gap keeps the pruning from covering up that something was removed.
func TestPruningDoesNotCoverAGap(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.addEvents(t, 20)
		h.exec(t, "DELETE FROM audit_events WHERE id = (SELECT max(id) - 1 FROM audit_events) AND id > ?", 0)
		h.prunes(t, 48*time.Hour)
		if err := h.Maintain(t.Context()); err == nil {
			t.Error("the gap is not noticed")
		}
		if found := h.verified(t, nil); found.OK() {
			t.Error("the gap is covered up")
		}
	})
}

func maintained(t *testing.T, h *house) {
	t.Helper()
	if err := h.Maintain(t.Context()); err != nil {
		t.Fatal(fault.Detail(err))
	}
}

// An export has everything, the oldest first, and itself as the last.
func TestAnExportHasEverything(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.put(t, "A", "value")
		var actions []string
		err := h.ExportAudit(t.Context(), vault.Local(), vault.AuditQuery{}, func(e api.AuditEvent) error {
			if e.MAC == "" || e.ID == "" {
				t.Errorf("%+v", e)
			}
			actions = append(actions, e.Action)
			return nil
		})
		if err != nil {
			t.Fatal(fault.Detail(err))
		}
		equal(t, "actions", actions, []string{"audit.chain.begin", "onboarding.finish", "auth.login", "project.create", "secret.create", "audit.export"})
		isKind(t, "from afar", h.ExportAudit(t.Context(), h.ann, vault.AuditQuery{}, nil), fault.Forbidden)
	})
}

// What a known caller is refused is recorded where he was refused it; what he can
// not see, and who is nobody, leaves nothing.
func TestRefusalsAreRecorded(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		ci := h.service(t, api.AccessRead, "development")
		value := api.NewValue("v")
		_, _, err := h.PutSecret(t.Context(), ci, in(development, "DATABASE_URL"), api.PutSecret{Value: &value}, vault.Match{})
		isKind(t, "a token that may only read", err, fault.Forbidden)
		if err := h.RecordRefusal(t.Context(), ci, vault.ActionWriteSecret, err); err != nil {
			t.Fatal(fault.Detail(err))
		}
		page := must(h.Audit(t.Context(), h.ann, "shop", vault.AuditQuery{Outcome: "refused"}))
		if len(page.Results) != 1 {
			t.Fatalf("%d refusals in the project", len(page.Results))
		}
		e := page.Results[0]
		equal(t, "refusal", []string{e.Action, e.Environment, e.Target, e.Credential, e.IP},
			[]string{"secret.write", "development", "DATABASE_URL", "token:" + e.Actor.ID, "192.0.2.1"})

		before := h.count(t, "audit_events")
		for what, err := range map[string]error{"success": nil, "not found": fault.New(fault.NotFound, "x"), "invalid": fault.New(fault.Invalid, "x")} {
			if err := h.RecordRefusal(t.Context(), ci, vault.ActionWriteSecret, err); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := h.RecordRefusal(t.Context(), vault.Anonymous(request()), vault.ActionWriteSecret, fault.New(fault.Forbidden, "x")); err != nil {
			t.Error(err)
		}
		equal(t, "events", h.count(t, "audit_events"), before)
	})
}

// The ids of events from before the chain may have gaps, however wide: PostgreSQL
// gave none back. They are no reason to keep everything.
func TestGapsBeforeTheChainAreRemovedToo(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		for _, id := range []int64{-1 << 62, 5, 10_000} {
			p.exec(t, `INSERT INTO audit_events (id, at, actor_kind, actor_id, actor_name, action, outcome, project_id, environment_name,
target, detail, ip, user_agent, request_id) VALUES (?, 1, '', '', '', 'old', '', '', '', '', '', '', '', '')`, id)
		}
		h := p.house(t)
		h.prunes(t, 0)
		maintained(t, h)
		equal(t, "old events", h.count(t, "audit_events WHERE action = 'old'"), 0)
		equal(t, "from before the chain", h.sound(t, "pruned").Uncovered, int64(0))
	})
}
