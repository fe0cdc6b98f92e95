package vault

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/store"
)

// SettingsVersion identifies settings that were saved. Generations count from 1,
// but a database that was restored counts some of them anew, so the moment belongs
// to it. The zero version is that of a database in which none were saved.
type SettingsVersion struct {
	Generation int64
	savedAt    store.Micros
}

// String tells versions apart; "" for the zero version.
func (v SettingsVersion) String() string {
	if v.Generation == 0 {
		return ""
	}
	return fmt.Sprintf("%d-%d", v.Generation, v.savedAt)
}

// SavedSettings are the settings that administrators change while servers run.
type SavedSettings struct {
	Version SettingsVersion
	Text    api.Value // what they are is for the server to know; "" in the zero version
}

// SettingsChange is what SaveSettings is told.
type SettingsChange struct {
	Action Action
	From   int64     // the generation that it was made from; 0: none were saved
	Text   api.Value // the whole settings, as they shall be
	// Detail goes into the audit trail: what was changed. It holds no secret.
	Detail map[string]string
}

// SettingsVersion tells which settings are saved. It is for the server itself and
// cheap enough to be asked every few seconds.
func (v *Vault) SettingsVersion(ctx context.Context) (SettingsVersion, error) {
	generation, at, err := v.store.SettingsVersion(ctx)
	return SettingsVersion{generation, at}, err
}

// SavedSettings reads the saved settings, for the server itself. Without a key,
// or with one that does not open them, it is fault.Unavailable or fault.Internal.
func (v *Vault) SavedSettings(ctx context.Context) (SavedSettings, error) {
	row, err := v.store.Settings(ctx)
	if err != nil || row == nil {
		return SavedSettings{}, err
	}
	ring := v.currentRing()
	if ring == nil {
		return SavedSettings{}, errNoKey
	}
	text, err := ring.OpenText(row.Sealed, row.KeyFingerprint)
	switch {
	case err != nil && !ring.Has(row.KeyFingerprint):
		return SavedSettings{}, errKeyNotHere(row.KeyFingerprint, err)
	case err != nil:
		return SavedSettings{}, fault.Wrap(fault.Internal, err, "The saved settings can not be decrypted: they are damaged. Run `heartlock check` on the server.")
	}
	return SavedSettings{Version: SettingsVersion{row.Generation, row.UpdatedAt}, Text: api.NewValue(text)}, nil
}

// errSettingsChanged answers all but one of those who change the same settings at
// the same time.
var errSettingsChanged = fault.New(fault.Conflict, "The settings were changed meanwhile. Read them again and repeat your change.")

// SaveSettings puts settings in the place of those of the generation that the
// change was made from, and returns their version. If somebody else was faster it
// is fault.Conflict and nothing has happened; without a key fault.Unavailable. All
// servers follow.
func (v *Vault) SaveSettings(ctx context.Context, p Principal, c SettingsChange) (version SettingsVersion, err error) {
	if _, err := admit(p, c.Action); err != nil {
		return SettingsVersion{}, err
	}
	if v.currentRing() == nil {
		return SettingsVersion{}, errNoKey
	}
	err = v.administer(ctx, p, c.Action, func(ctx context.Context, tx store.Tx) error {
		if version, err = v.replaceSettings(ctx, tx, c.From, c.Text); err != nil {
			return err
		}
		return v.record(ctx, tx, p, event{
			action: c.Action, detail: with(c.Detail, "generation", strconv.FormatInt(version.Generation, 10)),
		})
	})
	return version, err
}

func (v *Vault) replaceSettings(ctx context.Context, tx store.Tx, from int64, text api.Value) (SettingsVersion, error) {
	s, err := v.sealer(ctx, tx, "")
	if err != nil {
		return SettingsVersion{}, err
	}
	sealed, fingerprint, err := s.seal(text)
	if err != nil {
		return SettingsVersion{}, err
	}
	version := SettingsVersion{from + 1, v.micros()}
	err = tx.ReplaceSettings(ctx, &store.Settings{
		Generation: version.Generation, Sealed: sealed, KeyFingerprint: fingerprint, UpdatedAt: version.savedAt,
	}, from)
	if errors.Is(err, fault.Conflict) {
		return SettingsVersion{}, errSettingsChanged
	}
	return version, err
}

// RecordSSOTest writes into the audit trail that p has tried single sign-on out,
// with which settings, and whether it worked.
func (v *Vault) RecordSSOTest(ctx context.Context, p Principal, worked bool, detail map[string]string) error {
	if _, err := admit(p, ActionTestSSO); err != nil {
		return err
	}
	return v.recordRead(ctx, p, event{action: ActionTestSSO, detail: with(detail, "worked", strconv.FormatBool(worked))})
}
