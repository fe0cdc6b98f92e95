package vault_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/vault"
)

const settingsCanary = "canary-of-the-settings"

func settingsChange(from int64, text string) vault.SettingsChange {
	return vault.SettingsChange{Action: vault.ActionUpdateSSO, From: from, Text: api.NewValue(text), Detail: map[string]string{"client_id": "heartlock", "client_secret": "***"}}
}

func TestSaveSettings(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		ctx := t.Context()
		if saved := must(h.SavedSettings(ctx)); saved.Version.Generation != 0 || saved.Version.String() != "" || saved.Text.Len() != 0 {
			t.Error("something is saved already")
		}
		first := must(h.SaveSettings(ctx, h.ann, settingsChange(0, settingsCanary)))
		if _, err := h.SaveSettings(ctx, h.ann, settingsChange(0, "late")); !errors.Is(err, fault.Conflict) {
			t.Errorf("a second first generation: %v", err)
		}
		second := must(h.SaveSettings(ctx, h.ann, settingsChange(1, settingsCanary+" 2")))
		if _, err := h.SaveSettings(ctx, h.ann, settingsChange(1, "late")); !errors.Is(err, fault.Conflict) {
			t.Errorf("from a former generation: %v", err)
		}
		saved := must(h.SavedSettings(ctx))
		if saved.Text.Reveal() != settingsCanary+" 2" || saved.Version != second || second.Generation != 2 || first.String() == second.String() {
			t.Error("not what was saved last")
		}
		if version := must(h.SettingsVersion(ctx)); version != second {
			t.Errorf("%v, want %v", version, second)
		}
		var text string
		if err := h.sql.QueryRow("SELECT sealed FROM settings").Scan(&text); err != nil || strings.Contains(text, "canary") {
			t.Errorf("in the clear, or %v", err)
		}
		var details []string
		rows, err := h.sql.Query("SELECT detail FROM audit_events WHERE action = 'settings.sso.update' ORDER BY id")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			if err := rows.Scan(&text); err != nil {
				t.Fatal(err)
			}
			details = append(details, text)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{
			`{"client_id":"heartlock","client_secret":"***","generation":"1"}`,
			`{"client_id":"heartlock","client_secret":"***","generation":"2"}`,
		}, details); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSaveSettingsTogether(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		var won atomic.Int64
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				_, err := h.SaveSettings(t.Context(), h.ann, settingsChange(0, "x"))
				switch {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, fault.Conflict):
					t.Error(err)
				}
			})
		}
		all.Wait()
		var events int
		if err := h.sql.QueryRow("SELECT COUNT(*) FROM audit_events WHERE action = 'settings.sso.update'").Scan(&events); err != nil {
			t.Fatal(err)
		}
		if won.Load() != 1 || events != 1 {
			t.Errorf("%d succeeded, %d were recorded", won.Load(), events)
		}
	})
}

func TestSaveSettingsIsForAdministrators(t *testing.T) {
	eachHouse(t, func(t *testing.T, h *house) {
		token := must(h.CreateOwnToken(t.Context(), h.ann, api.CreatePersonalToken{Name: "laptop"}))
		byToken := must(h.IdentifyToken(t.Context(), token.Token.Reveal(), request()))
		for name, who := range map[string]vault.Principal{
			"nobody": vault.Anonymous(request()), "a personal token": byToken, "a service token": h.service(t, api.AccessWrite, "development"),
		} {
			if _, err := h.SaveSettings(t.Context(), who, settingsChange(0, "x")); fault.As(err) == nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if saved := must(h.SavedSettings(t.Context())); saved.Version.Generation != 0 {
			t.Error("somebody could save")
		}
	})
}

// TestSettingsNeedTheKey: without a key nothing is saved, and the text does not
// come out either.
func TestSettingsNeedTheKey(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		v := must(p.vault(t, nil))
		if _, err := v.SaveSettings(t.Context(), vault.Anonymous(request()), settingsChange(0, "x")); fault.As(err) == nil {
			t.Error("saved without a key")
		}
		h := p.house(t)
		must(h.SaveSettings(t.Context(), h.ann, settingsChange(0, settingsCanary)))
		if _, err := p.vault(t, nil); !errors.Is(err, fault.Usage) {
			t.Errorf("a vault without the key: %v", err)
		}
		if _, err := v.SavedSettings(t.Context()); !errors.Is(err, fault.Unavailable) || strings.Contains(fault.Detail(err), settingsCanary) {
			t.Errorf("reading without a key: %v", err)
		}
		if _, err := v.SaveSettings(t.Context(), h.ann, settingsChange(1, "x")); !errors.Is(err, fault.Unavailable) {
			t.Errorf("saving without a key: %v", err)
		}
	})
}

func TestFirstRunSavesSettings(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place) {
		v := must(p.vault(t, p.ring))
		full := errors.New("the disk is full")
		first := func(persist func() error) error {
			_, err := v.OnboardWithSettings(t.Context(), vault.Anonymous(request()), admin("ann@example.com"), api.NewValue(settingsCanary), persist)
			return err
		}
		if err := first(func() error { return full }); !errors.Is(err, full) {
			t.Fatalf("%v", err)
		}
		if saved := must(v.SavedSettings(t.Context())); saved.Version.Generation != 0 {
			t.Error("a first run that failed has left settings")
		}
		if err := first(func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		if saved := must(v.SavedSettings(t.Context())); saved.Version.Generation != 1 || saved.Text.Reveal() != settingsCanary {
			t.Error("the settings of the first run are not saved")
		}
	})
}

// TestARotationReachesTheSettings: they stay the same generation, under the new
// key.
func TestARotationReachesTheSettings(t *testing.T) {
	eachRotated(t, func(t *testing.T, r rotated) {
		version := must(r.SaveSettings(t.Context(), r.ann, settingsChange(0, settingsCanary)))
		r.begin(t)
		r.reseal(t)
		var fingerprint string
		if err := r.sql.QueryRow("SELECT key_fingerprint FROM settings").Scan(&fingerprint); err != nil || fingerprint != r.renewed.Fingerprint() {
			t.Errorf("under key %s, %v", fingerprint, err)
		}
		if saved := must(r.SavedSettings(t.Context())); saved.Version != version || saved.Text.Reveal() != settingsCanary {
			t.Error("they are others now")
		}
	})
}
