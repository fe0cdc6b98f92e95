package vault_test

import (
	"strconv"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

// again opens the vault anew, as a server that starts.
func (h *house) again(t *testing.T) {
	t.Helper()
	h.Vault = must(h.vault(t, h.ring))
	h.ann = h.signIn(t, "ann@example.com", password)
}

// A token is not bound to its place. Who can write to the database and knows the
// value of one secret must not be able to make that the key of the chain.
func TestASecretIsNoKeyOfTheChain(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		const value = "thirty-two bytes that he knows!!"
		h.put(t, "HIS_OWN", value)
		h.addEvents(t, 20)
		h.exec(t, "UPDATE audit_chain SET (sealed, key_fingerprint) = (SELECT sealed, key_fingerprint FROM secrets WHERE key = ?)", "HIS_OWN")
		h.forge(t, []byte(value))
		found, err := h.VerifyAudit(t.Context(), vault.Local(), nil, nil)
		if err == nil && found.OK() {
			t.Error("a trail under the value of a secret is taken for the right one")
		}
		h.Vault = must(h.vault(t, h.ring))
		_, _, err = h.Login(t.Context(), vault.Anonymous(request()), api.LoginRequest{Email: "ann@example.com", Password: api.NewValue(password)})
		isKind(t, "going on under the value of a secret", err, fault.Unavailable)
	})
}

// Taking the key out, with MACs that everybody can make, is found, also when
// no server runs that has known the key; and so is taking the chain out.
func TestATrailWithoutAKeyIsFound(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.addEvents(t, 20)
		h.exec(t, "UPDATE audit_chain SET sealed = NULL, key_fingerprint = '' WHERE id = ?", 1)
		h.forge(t, store.NoChainKey())
		h.Vault = must(h.vault(t, h.ring))
		equal(t, "without a key", problems(h.verified(t, nil)), []string{"The key of the audit trail is missing, although there is an encryption key: everybody can have made this trail."})
		h.exec(t, "DELETE FROM audit_chain WHERE id = ?", 1)
		h.exec(t, "UPDATE audit_events SET mac = NULL WHERE id > ?", 0)
		equal(t, "without a chain", problems(h.verified(t, nil)), []string{"The record of where the audit trail begins and ends is missing, although events were recorded."})
	})
}

// Ids begin with 1: what has a lesser one was not recorded, also not before the
// chain.
func TestEventsBeforeTheFirstOneAreFound(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		for _, id := range []int{0, -7} {
			h.exec(t, "INSERT INTO audit_events (id, "+auditTexts+") SELECT ?, "+auditTexts+" FROM audit_events WHERE id = 1", id)
		}
		equal(t, "problems", problems(h.verified(t, nil)), []string{"Event -7 is inserted.", "Event 0 is inserted."})
	})
}

// A chain that began anew is not the one of a place that was kept.
func TestAnExpectedPlaceBeforeTheChainIsNotFound(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		head := h.sound(t, "before").Head
		h.exec(t, "DELETE FROM audit_chain WHERE id = ?", 1)
		h.exec(t, "UPDATE audit_events SET mac = NULL WHERE id > ?", 0)
		h.again(t)
		found := h.verified(t, &head)
		equal(t, "problems", problems(found), []string{"The chain was begun anew after event " + strconv.FormatInt(head.ID, 10) + ", which was its end once: nothing is known of what was recorded until then."})
		if found.Uncovered != head.ID || found.UncoveredTo == nil {
			t.Errorf("%d events are said to be uncovered, until %v", found.Uncovered, found.UncoveredTo)
		}
	})
}

// What was recorded without an encryption key is protected as soon as there is
// one, before anything else is recorded.
func TestTheTrailGetsItsKeyWithTheEncryptionKey(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		h := &house{place: p, Vault: must(p.vault(t, nil))}
		h.addEvents(t, 3)
		if found := h.verified(t, nil); !found.OK() || found.HasKey {
			t.Fatalf("without a key: %+v", found)
		}
		h.Vault = must(p.vault(t, p.ring))
		if found := h.verified(t, nil); !found.OK() || !found.HasKey || found.Checked != 5 {
			t.Errorf("with a key: %+v", found)
		}
	})
}

// A key of the chain that nobody can open stops everything; a command on the
// server begins a new chain, and says so, but not while the key opens.
func TestAChainWithALostKeyIsBegunAnew(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.addEvents(t, 5)
		isKind(t, "with a sound key", h.RestartChain(t.Context(), vault.Local()), fault.Conflict)
		isKind(t, "from afar", h.RestartChain(t.Context(), h.ann), fault.Forbidden)
		head := h.sound(t, "before").Head
		h.exec(t, "UPDATE audit_chain SET sealed = 'gAAAAA' WHERE id = ?", 1)
		h.exec(t, "UPDATE audit_chain SET head_mac = last_mac WHERE id = ?", 1) // so that the store has to look
		h.Vault = must(h.vault(t, h.ring))
		_, _, err := h.Login(t.Context(), vault.Anonymous(request()), api.LoginRequest{Email: "ann@example.com", Password: api.NewValue(password)})
		isKind(t, "with a damaged key", err, fault.Unavailable)
		if err := h.RestartChain(t.Context(), vault.Local()); err != nil {
			t.Fatal(fault.Detail(err))
		}
		h.again(t)
		found := h.sound(t, "begun anew")
		equal(t, "events that nothing protects", found.Uncovered, head.ID)
		equal(t, "records of it", h.count(t, "audit_events WHERE action = 'audit.chain.restart'"), 1)
	})
}

// A trail whose key is taken out gets another one when a server starts; what was
// recorded until then is not said to be sound.
func TestAForgedBeginningIsNotSound(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.addEvents(t, 20)
		last := h.sound(t, "before").LastID
		h.exec(t, "UPDATE audit_events SET action = 'x' WHERE action = 'audit.chain.begin' AND id > ?", 0)
		h.exec(t, "UPDATE audit_chain SET sealed = NULL, key_fingerprint = '' WHERE id = ?", 1)
		h.forge(t, store.NoChainKey())
		h.again(t)
		equal(t, "events that nothing protects", h.verified(t, nil).Uncovered, last)
	})
}

// A backup whose chain has something else than a key where the key should be can
// be restored; the trail goes on in a new chain.
func TestARestoreBeginsAChainThatNobodyCanGoOnWith(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		key := keyring.Generate()
		p.ring = ring(t, key)
		h := p.house(t)
		h.put(t, "HIS_OWN", "thirty-two bytes that he knows!!")
		last := h.sound(t, "before").LastID
		h.exec(t, "UPDATE audit_chain SET sealed = (SELECT sealed FROM secrets WHERE key = ?)", "HIS_OWN")
		file := takeBackup(t, h.Vault, vault.BackupOptions{})
		there := anotherPlace(t, h.options.Engine)
		if _, err := there.restore(t, file, []keyring.Key{key}, key); err != nil {
			t.Fatal(fault.Detail(err))
		}
		there.ring = ring(t, key)
		restored := &house{place: *there, Vault: must(there.vault(t, there.ring))}
		if found := restored.sound(t, "restored"); found.Uncovered < last {
			t.Errorf("%d events are said to be uncovered, want %d or more", found.Uncovered, last)
		}
	})
}
