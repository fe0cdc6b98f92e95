package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/backup"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/heartlocktest"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/store"
	"github.com/heartlock/heartlock/pkg/vault"
)

// backedUp is a backup of the house to the key that seals.
func (h *house) backedUp(t *testing.T) []byte {
	t.Helper()
	return takeBackup(t, h.Vault, vault.BackupOptions{Version: "1.2.3"})
}

func takeBackup(t *testing.T, v *vault.Vault, o vault.BackupOptions) []byte {
	t.Helper()
	run := must(v.BeginBackup(t.Context(), vault.Local(), vault.BackupTarget{Host: "here", Path: "/x"}))
	var file bytes.Buffer
	if _, err := run.Write(t.Context(), &file, o); err != nil {
		t.Fatal(fault.Detail(err))
	}
	if err := run.Finish(t.Context(), int64(file.Len()), true); err != nil {
		t.Fatal(fault.Detail(err))
	}
	return file.Bytes()
}

// from opens a backup with keys.
func from(file []byte, keys ...keyring.Key) vault.BackupSource {
	return func() (*backup.Reader, io.Closer, error) {
		r, err := backup.NewReader(bytes.NewReader(file), backup.Opener{Keys: keys})
		return r, io.NopCloser(nil), err
	}
}

// anotherPlace is an empty, migrated database.
func anotherPlace(t *testing.T, engine store.Engine) *place {
	t.Helper()
	p := &place{options: store.Options{Engine: engine, ConnMaxAge: -1}}
	if engine == store.PostgreSQL {
		p.options.DSN = heartlocktest.Postgres(t)
	} else {
		p.options.Path = filepath.Join(t.TempDir(), "data", "db.sqlite3")
	}
	p.open(t)
	if _, err := p.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *place) restore(t *testing.T, file []byte, keys []keyring.Key, former ...keyring.Key) (vault.Restored, error) {
	t.Helper()
	return vault.Restore(t.Context(), p.store, vault.Local(), vault.RestoreOptions{
		Source: from(file, append(keys, former...)...), Keys: keys, Former: former,
	})
}

// tableSums are the checksums of the tables of a backup but the audit trail, to
// which making it and restoring it add.
func tableSums(t *testing.T, file []byte, key keyring.Key) map[string]string {
	t.Helper()
	r := must(backup.NewReader(bytes.NewReader(file), backup.Opener{Keys: []keyring.Key{key}}))
	sums := map[string]string{}
	for {
		table, columns, err := r.NextTable()
		if errors.Is(err, io.EOF) {
			return sums
		}
		if err != nil {
			t.Fatal(err)
		}
		var rows strings.Builder
		row := make([]any, len(columns))
		for n := 0; ; n++ {
			err := r.Row(row)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&rows, row...)
		}
		sums[table.Name] = rows.String()
	}
}

// furnish puts something into every table that is backed up.
func (h *house) furnish(t *testing.T) {
	t.Helper()
	for i := range 30 {
		h.put(t, fmt.Sprintf("KEY_%d", i), fmt.Sprintf("value %d é\n\"", i))
	}
	h.put(t, "KEY_1", "changed")
	h.put(t, "KEY_1", "")
	if err := h.DeleteSecret(t.Context(), h.ann, in(development, "KEY_2"), vault.Match{}); err != nil {
		t.Fatal(fault.Detail(err))
	}
	h.service(t, api.AccessRead, "development")
}

func TestABackupGoesRoundBothEngines(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.furnish(t)
		key := h.ring.Keys()[0]
		first := h.backedUp(t)
		want := tableSums(t, first, key)
		file := first
		engine := h.options.Engine
		for range 2 {
			engine = 1 - engine
			p := anotherPlace(t, engine)
			restored, err := p.restore(t, file, []keyring.Key{key})
			if err != nil {
				t.Fatal(fault.Detail(err))
			}
			if restored.Opened != 33 || restored.Resealed != 0 || restored.DamagedCount() != 0 {
				t.Errorf("restored %+v", restored)
			}
			there := *p
			there.ring = h.ring
			other := &house{place: there, Vault: must(there.vault(t, h.ring))}
			file = takeBackup(t, other.Vault, vault.BackupOptions{})
			got := tableSums(t, file, key)
			for _, table := range store.DumpTables() {
				if !strings.HasPrefix(table.Name, "audit_") {
					equal(t, table.Name+" on "+engine.String(), got[table.Name], want[table.Name])
				}
			}
			if !strings.HasPrefix(got["audit_events"], want["audit_events"]) {
				t.Error("the audit trail does not go on where it was")
			}
			other.ann = other.signIn(t, "ann@example.com", password)
			if got := other.get(t, "KEY_3"); got != "value 3 é\n\"" {
				t.Errorf("KEY_3 is %q", got)
			}
			other.put(t, "KEY_NEW", "goes on")
		}
	})
}

func TestABackupIsRestoredUnderAnotherKey(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.furnish(t)
		former, today := h.ring.Keys()[0], keyring.Generate()
		file := h.backedUp(t)
		p := anotherPlace(t, h.options.Engine)
		_, err := p.restore(t, file, []keyring.Key{today})
		var needs backup.NeedsKey
		if !errors.As(err, &needs) || needs.Fingerprint != former.Fingerprint() || p.count(t, "users") != 0 {
			t.Errorf("without the former key: %v", err)
		}
		restored, err := p.restore(t, file, []keyring.Key{today}, former)
		if err != nil || restored.Resealed != 33 {
			t.Fatalf("%d, %v", restored.Resealed, err)
		}
		if n := p.count(t, "secrets WHERE sealed IS NOT NULL AND key_fingerprint <> '"+today.Fingerprint()+"'"); n != 0 {
			t.Errorf("%d values are under another key", n)
		}
		there := *p
		there.ring = ring(t, today)
		other := &house{place: there, Vault: must(there.vault(t, there.ring))}
		other.ann = other.signIn(t, "ann@example.com", password)
		if got := other.get(t, "KEY_3"); got != "value 3 é\n\"" {
			t.Errorf("KEY_3 is %q", got)
		}
		state := must(vault.InspectKeys(t.Context(), p.store))
		if k, _ := state.Key(former.Fingerprint()); k.RetiredAt == nil || state.Seals() != today.Fingerprint() {
			t.Errorf("the keys are %+v", state.Keys)
		}
		// The former key was retired by that: it is not taken up again.
		again := takeBackup(t, other.Vault, vault.BackupOptions{})
		_, err = anotherPlace(t, h.options.Engine).restore(t, again, []keyring.Key{former}, today)
		if !errors.Is(err, fault.Usage) || !strings.Contains(err.Error(), "was retired") {
			t.Errorf("under a retired key: %v", err)
		}
	})
}

func TestOnlyAnEmptyDatabaseIsRestoredInto(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		key := h.ring.Keys()[0]
		file := h.backedUp(t)
		before := h.dump(t)
		if _, err := h.restore(t, file, []keyring.Key{key}); !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "nothing was overwritten") {
			t.Errorf("%v", err)
		}
		equal(t, "the database", h.dump(t), before)

		// What a server leaves that was started and never set up is nothing; while it
		// runs it is in the way.
		p := anotherPlace(t, h.options.Engine)
		v := must(p.vault(t, ring(t, keyring.Generate())))
		if err := v.Report(t.Context(), vault.ServerInfo{ID: "1", Host: "far"}); err != nil {
			t.Fatal(err)
		}
		if _, err := p.restore(t, file, []keyring.Key{key}); !errors.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "far") {
			t.Errorf("beside a running server: %v", err)
		}
		if err := v.Leave(t.Context(), "1"); err != nil {
			t.Fatal(err)
		}
		if _, err := p.restore(t, file, []keyring.Key{key}); err != nil {
			t.Errorf("after a first start: %v", fault.Detail(err))
		}
		if n := p.count(t, "encryption_keys"); n != 1 {
			t.Errorf("%d keys", n)
		}
	})
}

func TestADamagedBackupLeavesNothing(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.furnish(t)
		key := h.ring.Keys()[0]
		file := h.backedUp(t)
		p := anotherPlace(t, h.options.Engine)
		if _, err := p.restore(t, file[:len(file)-10], []keyring.Key{key}); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("%v", err)
		}
		for _, table := range []string{"users", "secrets", "audit_events", "encryption_keys"} {
			if n := p.count(t, table); n != 0 {
				t.Errorf("%d rows in %s", n, table)
			}
		}
	})
}

func TestDamagedValuesAreNamed(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.furnish(t)
		key, lost := h.ring.Keys()[0], keyring.Generate()
		stray, _, err := ring(t, lost).Seal([]byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		h.exec(t, "UPDATE secrets SET sealed = ? WHERE key = 'KEY_5'", "gAAAAA")
		h.exec(t, "UPDATE secret_versions SET sealed = ?, key_fingerprint = '"+lost.Fingerprint()+"' WHERE key = 'KEY_1' AND version = 1", string(stray))
		file := h.backedUp(t)
		want := []vault.DamagedSecret{
			{Project: "shop", Environment: "development", Key: "KEY_5", Version: 1, Fingerprint: key.Fingerprint()},
			{Project: "shop", Environment: "development", Key: "KEY_1", Version: 1, Fingerprint: lost.Fingerprint()},
		}
		content := must(vault.VerifyBackup(t.Context(), from(file, key), []keyring.Key{key}, nil))
		equal(t, "damaged", content.Damaged, want)
		equal(t, "missing", content.Missing, map[string]int64{lost.Fingerprint(): 1})
		if content.Opened != 31 {
			t.Errorf("%d opened", content.Opened)
		}

		p := anotherPlace(t, h.options.Engine)
		_, err = p.restore(t, file, []keyring.Key{key})
		var refused *vault.UnopenedError
		if !errors.As(err, &refused) || !errors.Is(err, fault.Invalid) || p.count(t, "users") != 0 {
			t.Fatalf("%v", err)
		}
		for _, part := range []string{"needs key " + lost.Fingerprint(), "shop/development KEY_5 version 1", "shop/development KEY_1 version 1", "--keep-damaged", "Nothing was written"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q is not in: %v", part, err)
			}
		}
		restored, err := vault.Restore(t.Context(), p.store, vault.Local(), vault.RestoreOptions{
			Source: from(file, key), Keys: []keyring.Key{key}, KeepDamaged: true,
		})
		if err != nil || restored.DamagedCount() != 2 {
			t.Fatalf("%+v, %v", restored, err)
		}
		if n := p.count(t, "secrets WHERE sealed = 'gAAAAA'"); n != 1 {
			t.Error("the damaged value is not there as it was")
		}
		// With the key that was lost, only what is really damaged is left.
		content = must(vault.VerifyBackup(t.Context(), from(file, key), []keyring.Key{key, lost}, nil))
		equal(t, "damaged", content.Damaged, want[:1])
	})
}

func TestAPassphraseCarriesTheKeys(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		h := p.house(t)
		h.furnish(t)
		phrase := api.NewValue("a long passphrase")
		file := takeBackup(t, h.Vault, vault.BackupOptions{Passphrase: phrase})
		source := func() (*backup.Reader, io.Closer, error) {
			r, err := backup.NewReader(bytes.NewReader(file), backup.Opener{Passphrase: func() (api.Value, error) { return phrase, nil }})
			return r, io.NopCloser(nil), err
		}
		content := must(vault.VerifyBackup(t.Context(), source, nil, nil))
		if content.Opened != 33 {
			t.Errorf("%d opened", content.Opened)
		}
		empty := anotherPlace(t, h.options.Engine)
		restored, err := vault.Restore(t.Context(), empty.store, vault.Local(), vault.RestoreOptions{Source: source, Keys: []keyring.Key{keyring.Generate()}})
		if err != nil || restored.Resealed != 33 {
			t.Errorf("%+v, %v", restored, err)
		}
	})
}

// TestABackupIsOfOneMoment has writers change two secrets together, always to the
// same value: a backup that mixed moments would hold two. What was acknowledged
// before it began must be in it.
func TestABackupIsOfOneMoment(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		h.furnish(t)
		ctx, stop := context.WithCancel(t.Context())
		var writers sync.WaitGroup
		var last sync.Map // acknowledged number by writer
		for w := range 3 {
			writers.Go(func() {
				for n := 1; ctx.Err() == nil; n++ {
					v := api.NewValue(fmt.Sprint(n))
					change := api.BulkRequest{Set: map[string]api.Value{fmt.Sprintf("W%d_A", w): v, fmt.Sprintf("W%d_B", w): v}}
					if _, err := h.Bulk(t.Context(), h.ann, development, change, vault.Match{}); err != nil {
						t.Error(fault.Detail(err))
						return
					}
					last.Store(w, n)
				}
			})
		}
		key := h.ring.Keys()[0]
		for range 10 {
			before := map[int]int{}
			last.Range(func(w, n any) bool { before[w.(int)] = n.(int); return true })
			values := openedValues(t, h.backedUp(t), h.ring, key)
			for w, n := range before {
				a, b := values[fmt.Sprintf("W%d_A", w)], values[fmt.Sprintf("W%d_B", w)]
				var got int
				if _, err := fmt.Sscan(a, &got); err != nil || a != b || got < n {
					t.Errorf("writer %d has written %d; the backup holds %q and %q", w, n, a, b)
				}
			}
		}
		stop()
		writers.Wait()
	})
}

// openedValues are the present values of a backup by their keys.
func openedValues(t *testing.T, file []byte, ring *keyring.Ring, key keyring.Key) map[string]string {
	t.Helper()
	r := must(backup.NewReader(bytes.NewReader(file), backup.Opener{Keys: []keyring.Key{key}}))
	values := map[string]string{}
	for {
		table, columns, err := r.NextTable()
		if errors.Is(err, io.EOF) {
			return values
		}
		if err != nil {
			t.Fatal(err)
		}
		row := make([]any, len(columns))
		for {
			err := r.Row(row)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if sealed, is := row[min(5, len(row)-1)].(string); is && table.Name == "secrets" {
				values[row[2].(string)] = must(ring.OpenText(sealed, ""))
			}
		}
	}
}

func TestABackupIsListedAndAudited(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		for _, who := range []vault.Principal{h.ann, vault.Anonymous(request())} {
			if _, err := h.BeginBackup(t.Context(), who, vault.BackupTarget{}); !errors.Is(err, fault.Forbidden) {
				t.Errorf("%v", err)
			}
			if _, err := vault.Restore(t.Context(), h.store, who, vault.RestoreOptions{}); !errors.Is(err, fault.Forbidden) {
				t.Errorf("%v", err)
			}
		}
		run := must(h.BeginBackup(t.Context(), vault.Local(), vault.BackupTarget{Host: "here"}))
		if err := run.Abandon(t.Context()); err != nil || h.count(t, "backups") != 0 {
			t.Errorf("abandoned: %v", err)
		}
		h.backedUp(t)
		latest := must(h.store.LatestBackup(t.Context()))
		if latest == nil || latest.VerifiedAt == nil || latest.EncryptedTo != h.ring.SealFingerprint() || latest.Host != "here" || latest.Path != "/x" || latest.Bytes < 1000 {
			t.Errorf("%+v", latest)
		}
		if n := h.count(t, "audit_events WHERE action = 'instance.backup' AND actor_kind = 'system'"); n != 1 {
			t.Errorf("%d events", n)
		}
	})
}
