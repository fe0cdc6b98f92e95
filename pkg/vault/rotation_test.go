package vault_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/vault"
)

// rotated is a house whose ring has a second key, to which a rotation may begin.
type rotated struct {
	*house
	former, renewed keyring.Key
}

func eachRotated(t *testing.T, test func(t *testing.T, r rotated)) {
	t.Helper()
	eachPlace(t, func(t *testing.T, p place) {
		r := rotated{former: keyring.Generate(), renewed: keyring.Generate()}
		p.ring = ring(t, r.former)
		r.house = p.house(t)
		r.fill(t)
		test(t, r)
	})
}

// fill stores values, former versions, the former value of a deleted secret, and a
// remembered answer.
func (r rotated) fill(t *testing.T) {
	t.Helper()
	for i := range 5 {
		r.put(t, fmt.Sprintf("KEY_%d", i), fmt.Sprintf("first value %d", i))
		r.put(t, fmt.Sprintf("KEY_%d", i), fmt.Sprintf("value %d", i))
	}
	r.put(t, "DELETED", "gone")
	if err := r.DeleteSecret(t.Context(), r.ann, in(development, "DELETED"), vault.Match{}); err != nil {
		t.Fatal(err)
	}
	ann := r.ann
	ann.Request.IdempotencyKey = "once"
	must(r.CreateProject(t.Context(), ann, api.CreateProject{Name: "Remembered"}))
}

// under counts the sealed values under a key.
func (r rotated) under(t *testing.T, key keyring.Key) int64 {
	t.Helper()
	known, _ := must(vault.InspectKeys(t.Context(), r.store)).Key(key.Fingerprint())
	return known.Values
}

func (r rotated) begin(t *testing.T) {
	t.Helper()
	if err := r.UseRing(t.Context(), ring(t, r.former, r.renewed)); err != nil {
		t.Fatal(err)
	}
	if err := r.BeginRotation(t.Context(), vault.Local(), r.renewed.Fingerprint()); err != nil {
		t.Fatal(err)
	}
}

func (r rotated) reseal(t *testing.T) vault.Resealing {
	t.Helper()
	return must(r.Reseal(t.Context(), vault.Local(), vault.ResealOptions{Batch: 2}))
}

// readable fails unless every value is what fill stored.
func (r rotated) readable(t *testing.T) {
	t.Helper()
	for i := range 5 {
		equal(t, "value", r.get(t, fmt.Sprintf("KEY_%d", i)), fmt.Sprintf("value %d", i))
	}
	ann := r.ann
	ann.Request.IdempotencyKey = "once"
	again := must(r.CreateProject(t.Context(), ann, api.CreateProject{Name: "Remembered"}))
	equal(t, "the remembered answer", again.Slug, "remembered")
}

const sealedByFill = 5 + 5 + 1 + 1 + 1 // values, former versions, the deleted one's, the answer, the key of the audit trail

func TestARotationPutsEverythingUnderTheNewKey(t *testing.T) {
	t.Parallel()
	eachRotated(t, func(t *testing.T, r rotated) {
		equal(t, "under the former key", r.under(t, r.former), int64(sealedByFill))
		r.begin(t)
		r.readable(t)
		r.put(t, "DURING", "during")
		equal(t, "new values under the new key", r.under(t, r.renewed), int64(1))

		_, err := r.FinishRotation(t.Context(), vault.Local(), false, 0)
		isKind(t, "finishing what is not done", err, fault.Conflict)
		equal(t, "resealed", r.reseal(t), vault.Resealing{Resealed: sealedByFill})
		equal(t, "done again", r.reseal(t), vault.Resealing{})
		r.readable(t)
		_, err = r.FinishRotation(t.Context(), vault.Local(), false, 0)
		isKind(t, "finishing what is not verified", err, fault.Conflict)
		seen := must(r.VerifyRotation(t.Context(), vault.Local(), nil))
		equal(t, "verified", seen, vault.Verification{Opened: sealedByFill + 1})
		equal(t, "retired", must(r.FinishRotation(t.Context(), vault.Local(), false, 0)), []string{r.former.Fingerprint()})

		r.Vault = must(r.vault(t, ring(t, r.renewed))) // needs the former key no more
		r.readable(t)
		equal(t, "during", r.get(t, "DURING"), "during")
		isKind(t, "finishing twice", second(r.FinishRotation(t.Context(), vault.Local(), false, 0)), fault.Conflict)
		for _, action := range []string{"begin", "verify", "finish"} {
			equal(t, action, r.count(t, "audit_events WHERE action = 'key.rotation."+action+"'"), 1)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestARotationCanBeUndone(t *testing.T) {
	t.Parallel()
	eachRotated(t, func(t *testing.T, r rotated) {
		r.begin(t)
		r.reseal(t)
		r.put(t, "DURING", "during")
		if err := r.UndoRotation(t.Context(), vault.Local()); err != nil {
			t.Fatal(err)
		}
		r.put(t, "AFTER", "after")
		isKind(t, "finishing at once", second(r.FinishRotation(t.Context(), vault.Local(), false, 0)), fault.Conflict)
		equal(t, "put back", r.reseal(t), vault.Resealing{Resealed: sealedByFill + 1})
		must(r.VerifyRotation(t.Context(), vault.Local(), nil))
		isKind(t, "finishing what is being undone", second(r.FinishRotation(t.Context(), vault.Local(), false, 0)), fault.Conflict)
		equal(t, "retired", must(r.FinishRotation(t.Context(), vault.Local(), true, 0)), []string{r.renewed.Fingerprint()})
		r.Vault = must(r.vault(t, ring(t, r.former)))
		r.readable(t)
		equal(t, "during", r.get(t, "DURING"), "during")

		// The key that was given up is not taken up again, whoever has it first.
		r.Vault = must(r.vault(t, ring(t, r.renewed, r.former)))
		r.put(t, "LATER", "later")
		equal(t, "under the retired key", r.under(t, r.renewed), int64(0))
		isKind(t, "rotating to it", r.BeginRotation(t.Context(), vault.Local(), r.renewed.Fingerprint()), fault.Usage)
	})
}

func TestNothingOfARotationIsForClients(t *testing.T) {
	t.Parallel()
	eachRotated(t, func(t *testing.T, r rotated) {
		r.begin(t)
		before := r.dump(t)
		for _, p := range []vault.Principal{r.ann, vault.Anonymous(request())} {
			refused := []error{
				r.BeginRotation(t.Context(), p, r.former.Fingerprint()), r.UndoRotation(t.Context(), p),
				second(r.Reseal(t.Context(), p, vault.ResealOptions{})), second(r.VerifyRotation(t.Context(), p, nil)),
				second(r.FinishRotation(t.Context(), p, false, 1)),
			}
			for _, err := range refused {
				isKind(t, "a client", err, fault.Forbidden)
			}
		}
		equal(t, "the database", r.dump(t) == before, true)
	})
}

// A server that was paused, or that a network kept from its database, wakes up
// with the former key alone: it must not write, and must not answer wrongly.
func TestAServerWithTheFormerKeyAloneWritesNothing(t *testing.T) {
	t.Parallel()
	eachRotated(t, func(t *testing.T, r rotated) {
		stale := must(r.vault(t, ring(t, r.former)))
		r.begin(t)
		r.reseal(t)
		before := r.count(t, "secrets")
		value := api.NewValue("x")
		refused := map[string]error{}
		_, _, refused["put"] = stale.PutSecret(t.Context(), r.ann, in(development, "NEW"), api.PutSecret{Value: &value}, vault.Match{})
		_, _, refused["replace"] = stale.PutSecret(t.Context(), r.ann, in(development, "KEY_1"), api.PutSecret{Value: &value}, vault.Match{})
		_, refused["bulk"] = stale.Bulk(t.Context(), r.ann, development, api.BulkRequest{Set: map[string]api.Value{"NEW": value}}, vault.Match{})
		_, refused["read"] = stale.Secret(t.Context(), r.ann, in(development, "KEY_1"))
		again := r.ann
		again.Request.IdempotencyKey = "another"
		_, refused["a remembered answer"] = stale.CreateProject(t.Context(), again, api.CreateProject{Name: "Other"})
		for what, err := range refused {
			isKind(t, what, err, fault.Unavailable)
			if e := fault.As(err); e == nil || e.RetryAfter == 0 || !strings.Contains(e.Message, r.renewed.Fingerprint()) {
				t.Errorf("%s: %v tells neither when to try again nor which key is missing", what, err)
			}
		}
		equal(t, "secrets", r.count(t, "secrets"), before)
		equal(t, "under the former key", r.under(t, r.former), int64(0))
		r.readable(t)
		// As soon as it has the new key it works.
		if err := stale.UseRing(t.Context(), ring(t, r.renewed, r.former)); err != nil {
			t.Fatal(err)
		}
		r.Vault = stale
		r.put(t, "NEW", "x")
	})
}

func TestARotationWaitsForEveryServer(t *testing.T) {
	t.Parallel()
	eachRotated(t, func(t *testing.T, r rotated) {
		other := must(r.vault(t, ring(t, r.former)))
		info := vault.ServerInfo{ID: "01900000-0000-7000-8000-000000000001", Host: "other-host", Version: "1"}
		if err := other.Report(t.Context(), info); err != nil {
			t.Fatal(err)
		}
		if err := r.UseRing(t.Context(), ring(t, r.renewed, r.former)); err != nil { // does not take it up
			t.Fatal(err)
		}
		r.put(t, "BEFORE", "before")
		equal(t, "under the new key", r.under(t, r.renewed), int64(0))
		err := r.BeginRotation(t.Context(), vault.Local(), r.renewed.Fingerprint())
		isKind(t, "beginning", err, fault.Conflict)
		if err == nil || !strings.Contains(err.Error(), "other-host") {
			t.Errorf("%v does not name the server", err)
		}
		// Silent for longer than a server that lives, it is taken to be gone.
		r.exec(t, "UPDATE servers SET seen_at = seen_at - ?", vault.Silence.Microseconds()+1)
		if err := r.BeginRotation(t.Context(), vault.Local(), r.renewed.Fingerprint()); err != nil {
			t.Fatal(err)
		}
		equal(t, "servers", len(must(vault.InspectKeys(t.Context(), r.store)).Servers), 0)
	})
}

// A server that starts with a new first key takes it up by itself, but only if
// no running server would meet values that it can not open.
func TestAServerThatStartsTakesItsFirstKeyUp(t *testing.T) {
	t.Parallel()
	eachRotated(t, func(t *testing.T, r rotated) {
		both := ring(t, r.renewed, r.former)
		info := vault.ServerInfo{ID: "01900000-0000-7000-8000-000000000001", Host: "other-host", Version: "1"}
		other := must(r.vault(t, ring(t, r.former)))
		report := func() {
			t.Helper()
			if err := other.Report(t.Context(), info); err != nil {
				t.Fatal(err)
			}
		}
		report()
		starts := func(key keyring.Key, n int64) {
			t.Helper()
			r.Vault = must(r.vault(t, both))
			r.put(t, fmt.Sprintf("NUMBER_%d", r.count(t, "secrets")), "value")
			equal(t, "values under the new key", r.under(t, key), n)
		}
		starts(r.renewed, 0) // a command
		r.keyEntry = vault.TakeUpKey
		starts(r.renewed, 0) // a server, but the other one lacks the key
		if err := other.UseRing(t.Context(), both); err != nil {
			t.Fatal(err)
		}
		report()
		r.keyEntry = vault.EnterFirstKey
		starts(r.renewed, 0) // a command, although nothing would be in its way
		r.keyEntry = vault.TakeUpKey
		starts(r.renewed, 1)
		state := must(vault.InspectKeys(t.Context(), r.store))
		if state.Rotation == nil || state.Rotation.To != r.renewed.Fingerprint() || state.Rotation.From != r.former.Fingerprint() {
			t.Errorf("the rotation is %+v", state.Rotation)
		}
		equal(t, "beginnings by a server", r.count(t, `audit_events WHERE action = 'key.rotation.begin' AND detail LIKE '%"by":"server"%'`), 1)
		r.readable(t)
	})
}

// A key that was announced and withdrawn may still be in the memory of a server
// that starts; it must not be sealed with, for it may be in no settings any more.
func TestAWithdrawnKeyIsNotTakenUp(t *testing.T) {
	t.Parallel()
	eachRotated(t, func(t *testing.T, r rotated) {
		if err := r.UseRing(t.Context(), ring(t, r.former, r.renewed)); err != nil {
			t.Fatal(err)
		}
		if err := r.WithdrawKeys(t.Context(), vault.Local(), []string{r.renewed.Fingerprint()}); err != nil {
			t.Fatal(err)
		}
		r.keyEntry = vault.TakeUpKey
		r.Vault = must(r.vault(t, ring(t, r.renewed, r.former)))
		r.put(t, "A", "value")
		equal(t, "values under the withdrawn key", r.under(t, r.renewed), int64(0))
		isKind(t, "rotating to it", r.BeginRotation(t.Context(), vault.Local(), r.renewed.Fingerprint()), fault.Usage)
		isKind(t, "withdrawing what is in use", r.WithdrawKeys(t.Context(), vault.Local(), []string{r.former.Fingerprint()}), fault.Conflict)
		isKind(t, "a client", r.WithdrawKeys(t.Context(), r.ann, []string{r.renewed.Fingerprint()}), fault.Forbidden)
		must(r.vault(t, ring(t, r.former))) // needs only the one
	})
}

// A key that nothing is under is not needed; one that seals is, but not by the
// command that goes back from it.
func TestAKeyThatNothingIsUnderIsNotNeeded(t *testing.T) {
	t.Parallel()
	eachRotated(t, func(t *testing.T, r rotated) {
		r.begin(t)
		_, err := r.vault(t, ring(t, r.former))
		isKind(t, "a server without the key that seals", err, fault.Usage)
		r.keyEntry = vault.RotateKeys
		r.Vault = must(r.vault(t, ring(t, r.former)))
		if err := r.UndoRotation(t.Context(), vault.Local()); err != nil {
			t.Fatal(err)
		}
		equal(t, "put back", r.reseal(t), vault.Resealing{})
		must(r.VerifyRotation(t.Context(), vault.Local(), nil))
		r.keyEntry = vault.EnterFirstKey
		must(r.vault(t, ring(t, r.former))) // although the other is not retired yet
		must(r.FinishRotation(t.Context(), vault.Local(), true, 0))
		r.readable(t)
	})
}

// Undoing is a rotation too: every server must have the key that it goes back to.
func TestUndoingWaitsForEveryServer(t *testing.T) {
	t.Parallel()
	eachRotated(t, func(t *testing.T, r rotated) {
		r.begin(t)
		r.reseal(t)
		other := must(r.vault(t, ring(t, r.renewed)))
		if err := other.Report(t.Context(), vault.ServerInfo{ID: "01900000-0000-7000-8000-000000000001", Host: "other-host"}); err != nil {
			t.Fatal(err)
		}
		isKind(t, "undoing", r.UndoRotation(t.Context(), vault.Local()), fault.Conflict)
		// A row of the future is of a clock that was wrong, and no server.
		r.exec(t, "UPDATE servers SET seen_at = seen_at + ?", vault.Silence.Microseconds()*100)
		if err := r.UndoRotation(t.Context(), vault.Local()); err != nil {
			t.Fatal(err)
		}
	})
}

// Edits run while the values are put under the new key: none is lost, and no
// token comes through under the former key.
func TestEditsDuringARotationAreNotLost(t *testing.T) {
	t.Parallel()
	eachRotated(t, func(t *testing.T, r rotated) {
		r.begin(t)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var all sync.WaitGroup
		atWork := make(chan struct{}, 4)
		last := make([]string, 4)
		for w := range last {
			key := fmt.Sprintf("KEY_%d", w)
			all.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					value := api.NewValue(fmt.Sprintf("%d of worker %d", n, w))
					if _, _, err := r.PutSecret(t.Context(), r.ann, in(development, key), api.PutSecret{Value: &value}, vault.Match{}); err != nil {
						t.Errorf("%s: %s", key, fault.Detail(err))
						return
					}
					last[w] = value.Reveal()
					if n == 5 {
						atWork <- struct{}{}
					}
				}
			})
		}
		for range last {
			<-atWork
		}
		r.reseal(t)
		equal(t, "under the former key", r.under(t, r.former), int64(0))
		stop()
		all.Wait()
		equal(t, "under the former key at the end", r.under(t, r.former), int64(0))
		for w, want := range last {
			equal(t, "the last value", r.get(t, fmt.Sprintf("KEY_%d", w)), want)
		}
		must(r.VerifyRotation(t.Context(), vault.Local(), nil))
	})
}

func TestADamagedValueStopsTheEndOfARotationOnly(t *testing.T) {
	t.Parallel()
	eachRotated(t, func(t *testing.T, r rotated) {
		r.exec(t, "UPDATE secrets SET sealed = ? WHERE key = 'KEY_3'", string(first(ring(t, keyring.Generate()).Seal([]byte("foreign")))))
		r.begin(t)
		equal(t, "resealed", r.reseal(t), vault.Resealing{Resealed: sealedByFill - 1, Damaged: 1})
		seen := must(r.VerifyRotation(t.Context(), vault.Local(), nil))
		equal(t, "seen", seen, vault.Verification{Opened: sealedByFill - 1, Damaged: 1})
		isKind(t, "finishing", second(r.FinishRotation(t.Context(), vault.Local(), false, 0)), fault.Conflict)
		must(r.FinishRotation(t.Context(), vault.Local(), false, 1))
		r.Vault = must(r.vault(t, ring(t, r.renewed)))
		equal(t, "another", r.get(t, "KEY_2"), "value 2")
		if _, err := r.Secret(t.Context(), r.ann, in(development, "KEY_3")); err == nil {
			t.Error("the damaged value was read")
		}
		r.put(t, "KEY_3", "mended")
		equal(t, "mended", r.get(t, "KEY_3"), "mended")
	})
}

// Every column of the schema that holds a Fernet token is in the one list.
func TestEverythingSealedIsInTheList(t *testing.T) {
	t.Parallel()
	eachRotated(t, func(t *testing.T, r rotated) {
		var found []string
		for _, table := range r.tables(t) {
			rows := must(r.sql.QueryContext(t.Context(), "SELECT * FROM "+table))
			columns := must(rows.Columns())
			values, targets := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				targets[i] = &values[i]
			}
			for rows.Next() {
				if err := rows.Scan(targets...); err != nil {
					t.Fatal(err)
				}
				for i, v := range values {
					if text, isText := v.(string); isText && strings.HasPrefix(text, "gAAAA") {
						found = append(found, table+"."+columns[i])
					}
				}
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(found)
		equal(t, "columns that hold tokens", slices.Compact(found),
			[]string{"audit_chain.sealed", "encryption_keys.check_token", "idempotency_keys.sealed", "secret_versions.sealed", "secrets.sealed"})
	})
}

// tables names all tables of the database.
func (p *place) tables(t *testing.T) (names []string) {
	t.Helper()
	query := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
	if p.options.DSN != "" {
		query = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
	}
	rows := must(p.sql.QueryContext(t.Context(), query))
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(names) == 0 {
		t.Fatal("no tables", err)
	}
	return names
}
