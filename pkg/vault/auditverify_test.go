package vault_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

// verified is what a verification finds.
func (h *house) verified(t *testing.T, expect *vault.AuditHead) vault.AuditVerification {
	t.Helper()
	found, err := h.VerifyAudit(t.Context(), vault.Local(), expect, nil)
	if err != nil {
		t.Fatal(fault.Detail(err))
	}
	return found
}

// sound fails unless the whole trail is as it was recorded.
func (h *house) sound(t *testing.T, when string) vault.AuditVerification {
	t.Helper()
	found := h.verified(t, nil)
	if !found.OK() || found.Checked == 0 || !found.HasKey {
		t.Errorf("%s: %+v", when, found)
	}
	return found
}

// problems are what a verification finds, as a person reads them.
func problems(found vault.AuditVerification) (texts []string) {
	for _, p := range found.Problems {
		texts = append(texts, p.String())
	}
	return texts
}

// addEvents appends to the trail without anything having happened.
func (h *house) addEvents(t *testing.T, n int) {
	t.Helper()
	const batch = 5000
	for ; n > 0; n -= batch {
		events := make([]store.AuditEvent, min(n, batch))
		for i := range events {
			events[i] = store.AuditEvent{
				At: store.MicrosOf(time.Now()), Actor: store.Actor{Kind: "user", ID: "0199", Name: "ann@example.com"},
				Action: "secret.read", Outcome: "success", ProjectID: "p", EnvironmentName: "production", Target: fmt.Sprint("KEY_", i),
				Detail: `{"version":"1"}`, IP: "192.0.2.1", UserAgent: "test", RequestID: "r", Credential: "token:1",
			}
		}
		if err := h.store.Write(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.InsertAuditEvents(ctx, events) }); err != nil {
			t.Fatal(fault.Detail(err))
		}
	}
}

const auditTexts = "at, actor_kind, actor_id, actor_name, action, outcome, project_id, environment_name, target, detail, ip, user_agent, request_id, credential"

// manyEvents are a trail of some weeks.
const manyEvents = 100_000

func TestTamperingIsFoundInALongTrail(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.addEvents(t, manyEvents)
		h.exec(t, "UPDATE audit_events SET detail = '{\"version\":\"2\"}' WHERE id = ?", manyEvents/2)
		h.exec(t, "DELETE FROM audit_events WHERE id = ?", manyEvents-3)
		equal(t, "problems", problems(h.verified(t, nil)), []string{
			fmt.Sprintf("Event %d is altered.", manyEvents/2), fmt.Sprintf("Event %d is missing.", manyEvents-3),
		})
	})
}

// TestTamperingIsFound changes a trail in every way in which somebody with the
// database, but without the key, can.
func TestTamperingIsFound(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.addEvents(t, 300)
		last := h.sound(t, "untouched").LastID
		middle := last / 2
		for _, c := range []tampering{
			{"removed in the middle", "DELETE FROM audit_events WHERE id = ?", middle, fmt.Sprintf("Event %d is missing.", middle)},
			{"removed in the middle, more than one", fmt.Sprintf("DELETE FROM audit_events WHERE id IN (?, %d)", middle+1), middle, fmt.Sprintf("Events %d to %d are missing.", middle, middle+1)},
			{"removed at the end", "DELETE FROM audit_events WHERE id = ?", last, fmt.Sprintf("Event %d is missing.", last)},
			{"removed at the beginning", "DELETE FROM audit_events WHERE id = ?", 1, "Event 1 is missing."},
			{"inserted at the end", "INSERT INTO audit_events (id, mac, " + auditTexts + ") SELECT id + 1, mac, " + auditTexts + " FROM audit_events WHERE id = ?", last, fmt.Sprintf("Event %d is inserted.", last+1)},
			{"cut off", fmt.Sprintf("UPDATE audit_chain SET last_id = ?, last_mac = (SELECT mac FROM audit_events WHERE id = %d)", last-1), last - 1, "The record of where the audit trail begins and ends is altered."},
			{"cut at the beginning", fmt.Sprintf("UPDATE audit_chain SET first_id = ?, first_mac = (SELECT mac FROM audit_events WHERE id = %d)", middle-1), middle, "The record of where the audit trail begins and ends is altered."},
		} {
			c.try(t, h)
		}
		h.sound(t, "put back")
	})
}

// tampering is a statement with the id of an event, and the first problem that has
// to be found.
type tampering struct {
	what, statement string
	id              int64
	want            string
}

// try tampers, verifies and puts everything back.
func (c tampering) try(t *testing.T, h *house) {
	t.Helper()
	around := fmt.Sprintf(" WHERE id BETWEEN %d AND %d", c.id-1, c.id+1)
	h.exec(t, "CREATE TABLE kept_events AS SELECT * FROM audit_events"+around)
	h.exec(t, "CREATE TABLE kept_chain AS SELECT * FROM audit_chain")
	h.exec(t, c.statement, c.id)
	found := h.verified(t, nil)
	if found.OK() || found.Problems[0].String() != c.want {
		t.Errorf("%s: found %q, want %q first", c.what, problems(found), c.want)
	}
	h.exec(t, "DELETE FROM audit_events"+around)
	h.exec(t, "INSERT INTO audit_events SELECT * FROM kept_events")
	h.exec(t, "DELETE FROM audit_chain")
	h.exec(t, "INSERT INTO audit_chain SELECT * FROM kept_chain")
	h.exec(t, "DROP TABLE kept_events")
	h.exec(t, "DROP TABLE kept_chain")
}

// TestAnAlteredEventIsNamed changes each column of an event.
func TestAnAlteredEventIsNamed(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.addEvents(t, 20)
		const id = 12
		for column, value := range map[string]string{
			"at": "at + 1", "mac": "NULL", "actor_kind": "'system'", "actor_id": "actor_id || '0'", "actor_name": "'bob@example.com'", "action": "'secret.reax'",
			"outcome": "'refused'", "project_id": "'q'", "environment_name": "'production '", "target": "'KEY'", "detail": `'{"version":"2"}'`,
			"ip": "'192.0.2.2'", "user_agent": "''", "request_id": "'s'", "credential": "'token:2'",
		} {
			want := fmt.Sprintf("Event %d is altered.", id)
			if column == "mac" {
				want = fmt.Sprintf("Event %d is inserted.", id) // nobody records one without
			}
			tampering{column, "UPDATE audit_events SET " + column + " = " + value + " WHERE id = ?", id, want}.changes(t, h)
		}
		mac := make([]byte, store.MACSize)
		before := h.mac(t, id)
		h.exec(t, fmt.Sprintf("UPDATE audit_events SET mac = ? WHERE id = %d", id), mac)
		equal(t, "another MAC", problems(h.verified(t, nil)), []string{fmt.Sprintf("Event %d is altered.", id)})
		h.exec(t, fmt.Sprintf("UPDATE audit_events SET mac = ? WHERE id = %d", id), before)
		h.sound(t, "put back")
	})
}

// changes tampers with one event and takes it back from a copy.
func (c tampering) changes(t *testing.T, h *house) {
	t.Helper()
	h.exec(t, "CREATE TABLE kept AS SELECT * FROM audit_events WHERE id = "+fmt.Sprint(c.id))
	h.exec(t, c.statement, c.id)
	equal(t, c.what, problems(h.verified(t, nil)), []string{c.want})
	h.exec(t, "DELETE FROM audit_events WHERE id = ?", c.id)
	h.exec(t, "INSERT INTO audit_events SELECT * FROM kept")
	h.exec(t, "DROP TABLE kept")
}

func (h *house) mac(t *testing.T, id int) (mac []byte) {
	t.Helper()
	if err := h.sql.QueryRowContext(t.Context(), fmt.Sprintf("SELECT mac FROM audit_events WHERE id = %d", id)).Scan(&mac); err != nil {
		t.Fatal(err)
	}
	return mac
}

// Two events change places, also with their MACs.
func TestSwappedEventsAreFound(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.addEvents(t, 20)
		h.exec(t, "UPDATE audit_events SET id = -1 WHERE id = ?", 12)
		h.exec(t, "UPDATE audit_events SET id = 12 WHERE id = ?", 13)
		h.exec(t, "UPDATE audit_events SET id = 13 WHERE id = ?", -1)
		found := h.verified(t, nil)
		if found.OK() || found.Problems[0].From != 12 || found.Problems[0].Kind != vault.EventAltered {
			t.Errorf("found %q", problems(found))
		}
	})
}

// Who makes the whole chain anew without the key is found out at its first event.
func TestAChainWithoutTheKeyIsFound(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.addEvents(t, 20)
		for _, key := range [][]byte{store.NoChainKey(), []byte("a key that somebody has made up.")} {
			h.forge(t, key)
			found := h.verified(t, nil)
			if found.OK() || found.Problems[0].Kind != vault.ChainWrong {
				t.Errorf("found %q", problems(found))
			}
		}
		// Also if he takes the sealed key out, so that everybody's is the right one: who
		// has written before knows that there was another.
		h.exec(t, "UPDATE audit_chain SET sealed = NULL, key_fingerprint = '' WHERE id = ?", 1)
		h.forge(t, store.NoChainKey())
		_, err := h.CreateProject(t.Context(), h.ann, api.CreateProject{Name: "Other"})
		isKind(t, "going on with a chain without a key", err, fault.Unavailable)
	})
}

// forge makes all MACs anew, and the record of the ends.
func (h *house) forge(t *testing.T, key []byte) {
	t.Helper()
	c := store.NewChainer(key)
	row := must(h.store.AuditChain(t.Context()))
	previous := row.FirstMAC
	macs := map[int64][]byte{}
	err := h.store.EachAuditEvent(t.Context(), store.AuditFilter{}, func(e *store.AuditEvent) error {
		previous = c.Event(previous, e)
		macs[e.ID] = previous
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for id, mac := range macs {
		h.exec(t, fmt.Sprintf("UPDATE audit_events SET mac = ? WHERE id = %d", id), mac)
	}
	row.LastMAC = previous
	h.exec(t, "UPDATE audit_chain SET last_mac = ?, head_mac = ? WHERE id = 1", row.LastMAC, c.Head(row))
}

// A place that was kept elsewhere proves that nothing before it is gone, also
// against who puts an older state back.
func TestAnExpectedPlaceIsCompared(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		early := h.sound(t, "early").Head
		h.put(t, "A", "value")
		late := h.sound(t, "late").Head
		for what, head := range map[string]vault.AuditHead{"early": early, "late": late} {
			read := must(vault.ParseAuditHead(head.String()))
			if found := h.verified(t, &read); !found.OK() {
				t.Errorf("%s: %q", what, problems(found))
			}
		}
		beyond := vault.AuditHead{ID: late.ID + 5, MAC: late.MAC}
		other := vault.AuditHead{ID: early.ID, MAC: late.MAC}
		for what, head := range map[string]vault.AuditHead{"cut off": beyond, "another": other} {
			if found := h.verified(t, &head); found.OK() {
				t.Errorf("%s: nothing is found", what)
			}
		}
		for _, text := range []string{"", "1", "x:" + hex.EncodeToString(late.MAC), "1:zz", "0:" + hex.EncodeToString(late.MAC), "1:00"} {
			_, err := vault.ParseAuditHead(text)
			isKind(t, text, err, fault.Usage)
		}
		_, err := h.VerifyAudit(t.Context(), h.ann, nil, nil)
		isKind(t, "from afar", err, fault.Forbidden)
	})
}

// The key of the chain goes along when the encryption key is rotated, and nothing
// about the chain changes.
func TestAChainOutlivesARotation(t *testing.T) {
	t.Parallel()
	eachRotated(t, func(t *testing.T, r rotated) {
		other := &house{place: r.place, Vault: must(r.vault(t, ring(t, r.former)))} // does not get the new key
		other.ann = other.signIn(t, "ann@example.com", password)
		r.begin(t)
		r.reseal(t)
		r.put(t, "AFTER", "value")
		if err := other.Logout(t.Context(), other.ann); err != nil {
			t.Error("a server without the new key can not write events any more: ", fault.Detail(err))
		}
		must(r.VerifyRotation(t.Context(), vault.Local(), nil))
		must(r.FinishRotation(t.Context(), vault.Local(), false, 0))
		r.Vault = must(r.vault(t, ring(t, r.renewed)))
		r.put(t, "LATER", "value")
		r.sound(t, "after the rotation")
	})
}

// A restored trail goes on in the same chain, under another encryption key and on
// the other engine.
func TestAChainOutlivesARestore(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		former, key := keyring.Generate(), keyring.Generate()
		p.ring = ring(t, former)
		h := p.house(t)
		head := h.sound(t, "before").Head
		file := takeBackup(t, h.Vault, vault.BackupOptions{})
		there := anotherPlace(t, 1-h.options.Engine)
		if _, err := there.restore(t, file, []keyring.Key{key}, former); err != nil {
			t.Fatal(fault.Detail(err))
		}
		there.ring = ring(t, key)
		restored := &house{place: *there, Vault: must(there.vault(t, there.ring))}
		restored.ann = restored.signIn(t, "ann@example.com", password)
		restored.put(t, "AFTER", "value")
		restored.sound(t, "after the restore")
		if found := restored.verified(t, &head); !found.OK() {
			t.Errorf("what the backup held: %q", problems(found))
		}
	})
}
