package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/heartlock/heartlock/pkg/backup"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
	"github.com/heartlock/heartlock/pkg/vault"
)

// TestLargeValuesAreReadAFewAtATime has the values as large as they may be: how
// many are held in memory must depend on their size.
func TestLargeValuesAreReadAFewAtATime(t *testing.T) {
	t.Parallel()
	const rows, size, most = 300, 100 << 10, 100 // 10 MiB
	key := keyring.Generate()
	var file bytes.Buffer
	columns := []backup.Column{{Name: "id", Kind: backup.Int}, {Name: "comment", Kind: backup.Text}}
	w := must(backup.NewWriter(&file, backup.Manifest{Tables: []backup.Table{{Name: "secrets", Rows: rows}}}, backup.Encryption{Key: key}))
	err := w.Table("secrets", columns)
	for i := range rows {
		err = errors.Join(err, w.Row([]any{int64(i), strings.Repeat("x", size)}))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	var before int64
	progress := func(done, _ int64) {
		if done-before > most {
			t.Errorf("%d rows of %d KiB are held at once", done-before, size>>10)
		}
		before = done
	}
	if _, err := vault.VerifyBackup(t.Context(), from(file.Bytes(), key), []keyring.Key{key}, progress); err != nil || before != rows {
		t.Errorf("%d rows, %v", before, err)
	}
}

// TestABackupOfTheFutureStopsNoSchedule has a clock that was wrong when the last
// backup was made.
func TestABackupOfTheFutureStopsNoSchedule(t *testing.T) {
	t.Parallel()
	eachHouse(t, func(t *testing.T, h *house) {
		plan := vault.BackupSchedule{Host: "here", Dir: "/x", Interval: time.Hour}
		run := must(h.ClaimBackup(t.Context(), vault.Local(), plan))
		if err := run.Finish(t.Context(), 1, true); err != nil {
			t.Fatal(fault.Detail(err))
		}
		if again := must(h.ClaimBackup(t.Context(), vault.Local(), plan)); again != nil {
			t.Error("one was made just now")
		}
		h.exec(t, fmt.Sprintf("UPDATE backups SET taken_at = taken_at + %d", 365*24*time.Hour.Microseconds()))
		if again := must(h.ClaimBackup(t.Context(), vault.Local(), plan)); again == nil {
			t.Error("a backup that says it is a year ahead keeps the next from being made")
		}
	})
}

// TestAnyFileNameLeavesTheTrailFitForBackups has a name that is no text, as file
// systems allow.
func TestAnyFileNameLeavesTheTrailFitForBackups(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, p place) {
		h := p.house(t)
		run, err := h.BeginBackup(t.Context(), vault.Local(), vault.BackupTarget{Host: "here", Path: "/x/\xff.backup"})
		if err == nil {
			err = run.Finish(t.Context(), 1, true)
		}
		if err != nil {
			t.Error(fault.Detail(err))
		}
		h.backedUp(t)
	})
}
