package backup_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/backup"
	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
)

var (
	taken  = time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	people = []backup.Column{{Name: "id", Kind: backup.Int}, {Name: "name", Kind: backup.Text}, {Name: "good", Kind: backup.Bool}, {Name: "digest", Kind: backup.Bytes}}
	rows   = [][]any{
		{int64(1), "Ann \"é\u2028\n", true, []byte{0, 1, 0xff}},
		{int64(-9007199254740993), "", false, nil},
		{nil, nil, nil, []byte{}},
	}
)

func manifest() backup.Manifest {
	return backup.Manifest{
		CreatedAt: taken, TakenAt: taken, Heartlock: "1.2.3", SchemaVersion: 2, Engine: "sqlite",
		Keys:   []backup.KnownKey{{Fingerprint: "0123abcd", CreatedAt: taken}},
		Tables: []backup.Table{{Name: "people", Rows: 3}, {Name: "things", Rows: 0}},
	}
}

// written is a backup of rows.
func written(t *testing.T, e backup.Encryption) []byte {
	t.Helper()
	var file bytes.Buffer
	w := must(backup.NewWriter(&file, manifest(), e))
	check(t, w.Table("people", people))
	for _, row := range rows {
		check(t, w.Row(row))
	}
	check(t, w.Table("things", people[:1]))
	check(t, w.Close())
	return file.Bytes()
}

// read reads a backup to its end.
func read(file []byte, o backup.Opener) (m backup.Manifest, all [][]any, err error) {
	r, err := backup.NewReader(bytes.NewReader(file), o)
	if err != nil {
		return m, nil, err
	}
	for {
		_, columns, err := r.NextTable()
		if errors.Is(err, io.EOF) {
			return r.Manifest(), all, nil
		}
		if err != nil {
			return m, nil, err
		}
		for {
			row := make([]any, len(columns))
			err := r.Row(row)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return m, nil, err
			}
			all = append(all, row)
		}
	}
}

func TestARoundTripGivesEveryValueBack(t *testing.T) {
	t.Parallel()
	key := keyring.Generate()
	m, got, err := read(written(t, backup.Encryption{Key: key}), backup.Opener{Keys: []keyring.Key{keyring.Generate(), key}})
	if err != nil {
		t.Fatal(fault.Detail(err))
	}
	if diff := cmp.Diff(rows, got); diff != "" {
		t.Error(diff)
	}
	want := manifest()
	want.Format, want.Version = "heartlock backup", 1
	if diff := cmp.Diff(want, m); diff != "" {
		t.Error(diff)
	}
}

func TestWithoutTheKeyTheMessageNamesIt(t *testing.T) {
	t.Parallel()
	key := keyring.Generate()
	file := written(t, backup.Encryption{Key: key})
	if strings.Contains(string(file), key.Encode()) {
		t.Error("the file shows the key")
	}
	_, _, err := read(file, backup.Opener{Keys: []keyring.Key{keyring.Generate()}})
	var needs backup.NeedsKey
	if !errors.As(err, &needs) || needs.Fingerprint != key.Fingerprint() {
		t.Errorf("%v", err)
	}
}

func TestAPassphraseIsEnough(t *testing.T) {
	t.Parallel()
	keys := []keyring.Key{keyring.Generate(), keyring.Generate()}
	phrase := api.NewValue("a long passphrase")
	file := written(t, backup.Encryption{Passphrase: phrase, Keys: keys})
	r := must(backup.NewReader(bytes.NewReader(file), backup.Opener{Passphrase: func() (api.Value, error) { return phrase, nil }}))
	if got := r.Keys(); len(got) != 2 || !got[0].Equal(keys[0]) || !got[1].Equal(keys[1]) {
		t.Errorf("the keys are %v", got)
	}
	for name, o := range map[string]backup.Opener{
		"is not the one": {Passphrase: func() (api.Value, error) { return api.NewValue("another passphrase"), nil }},
		"--passphrase-f": {Keys: keys},
		"is empty":       {Passphrase: func() (api.Value, error) { return api.Value{}, nil }},
	} {
		if _, _, err := read(file, o); !errors.Is(err, fault.Usage) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := backup.NewWriter(io.Discard, manifest(), backup.Encryption{Passphrase: api.NewValue("eleven char")}); !errors.Is(err, fault.Usage) {
		t.Errorf("a short passphrase: %v", err)
	}
}

func TestNoByteCanBeChangedOrMissing(t *testing.T) {
	t.Parallel()
	key := keyring.Generate()
	o := backup.Opener{Keys: []keyring.Key{key}}
	file := written(t, backup.Encryption{Key: key})
	for i := range file {
		if _, _, err := read(file[:i], o); err == nil {
			t.Fatalf("the first %d of %d bytes are taken for a backup", i, len(file))
		}
		flipped := bytes.Clone(file)
		flipped[i] ^= 1
		if _, _, err := read(flipped, o); err == nil {
			t.Fatalf("a change of byte %d is not noticed", i)
		}
	}
	for _, more := range [][]byte{{0}, file} {
		if _, _, err := read(append(bytes.Clone(file), more...), o); err == nil {
			t.Error("what follows the end is not noticed")
		}
	}
	for _, other := range []string{"", "KEY=value\n", "age-encryption.org/v1\n", strings.Repeat("\x00", 1000)} {
		if _, _, err := read([]byte(other), o); !errors.Is(err, fault.Invalid) {
			t.Errorf("%.20q: %v", other, err)
		}
	}
}

func TestAWriterHoldsToTheManifest(t *testing.T) {
	t.Parallel()
	e := backup.Encryption{Key: keyring.Generate()}
	for name, do := range map[string]func(w *backup.Writer) error{
		"another order": func(w *backup.Writer) error { return w.Table("things", people) },
		"missing table": (*backup.Writer).Close,
		"too few values": func(w *backup.Writer) error {
			return errors.Join(mustNil(w.Table("people", people)), w.Row([]any{int64(1)}))
		},
		"another kind": func(w *backup.Writer) error {
			return errors.Join(mustNil(w.Table("people", people)), w.Row([]any{"1", "", true, nil}))
		},
		"another type": func(w *backup.Writer) error {
			return errors.Join(mustNil(w.Table("people", people)), w.Row([]any{1, "", true, nil}))
		},
		"too few rows": func(w *backup.Writer) error {
			return errors.Join(mustNil(w.Table("people", people)), w.Table("things", people))
		},
		"invalid UTF-8": func(w *backup.Writer) error {
			return errors.Join(mustNil(w.Table("people", people)), w.Row([]any{nil, "\xff", nil, nil}))
		},
		"a line too long": func(w *backup.Writer) error {
			return errors.Join(mustNil(w.Table("people", people)), w.Row([]any{nil, strings.Repeat("x", 5<<20), nil, nil}))
		},
	} {
		if err := do(must(backup.NewWriter(io.Discard, manifest(), e))); err == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
}

func TestNothingShowsAKey(t *testing.T) {
	t.Parallel()
	e := backup.Encryption{Key: keyring.Generate(), Passphrase: api.NewValue("a long passphrase"), Keys: []keyring.Key{keyring.Generate()}}
	for _, text := range []string{fmt.Sprintf("%v", e), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", e)} {
		if strings.Contains(text, "a long passphrase") || strings.Contains(text, e.Keys[0].Encode()) {
			t.Error("printing shows a secret")
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// mustNil stops a case that fails before its point.
func mustNil(err error) error {
	if err != nil {
		panic(err)
	}
	return nil
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(fault.Detail(err))
	}
	return value
}
