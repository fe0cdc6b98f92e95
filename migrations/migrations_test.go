package migrations

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestEnginesHaveTheSameSteps(t *testing.T) {
	sqlite, err := For("sqlite")
	if err != nil {
		t.Fatal(err)
	}
	postgres, err := For("postgres")
	if err != nil {
		t.Fatal(err)
	}
	if len(sqlite) == 0 || len(sqlite) != len(postgres) {
		t.Fatalf("%d steps for SQLite, %d for PostgreSQL", len(sqlite), len(postgres))
	}
	for i := range sqlite {
		if sqlite[i].Version != i+1 || sqlite[i].Version != postgres[i].Version || sqlite[i].Name != postgres[i].Name {
			t.Errorf("step %d is %d_%s for SQLite and %d_%s for PostgreSQL", i+1,
				sqlite[i].Version, sqlite[i].Name, postgres[i].Version, postgres[i].Name)
		}
		if len(sqlite[i].Checksum) != 64 || sqlite[i].Checksum == postgres[i].Checksum {
			t.Errorf("step %d has the checksums %s and %s", i+1, sqlite[i].Checksum, postgres[i].Checksum)
		}
	}
}

func TestFrom(t *testing.T) {
	folder := func(names ...string) fstest.MapFS {
		fsys := fstest.MapFS{}
		for _, name := range names {
			name, text, given := strings.Cut(name, "=")
			if !given {
				text = "SELECT 1;"
			}
			fsys["x/"+name] = &fstest.MapFile{Data: []byte(text)}
		}
		return fsys
	}
	list, err := From(folder("0002_b.up.sql=B;", "0001_a.down.sql", "0001_a.up.sql=A;", "0002_b.down.sql=-B;"), "x")
	if err != nil || len(list) != 2 || list[0].Name != "a" || list[1].Up != "B;" || list[1].Down != "-B;" || list[1].Version != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	const trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN\nSELECT 1; END;"
	if _, err := From(folder("0001_a.up.sql="+trigger+" -- COMMIT; in a comment", "0001_a.down.sql"), "x"); err != nil {
		t.Errorf("a trigger: %v", err)
	}
	for name, c := range map[string]struct {
		files   fstest.MapFS
		problem string
	}{
		"no folder":     {fstest.MapFS{}, "x"},
		"a gap":         {folder("0001_a.up.sql", "0001_a.down.sql", "0003_c.up.sql", "0003_c.down.sql"), "step 2 is missing"},
		"from zero":     {folder("0000_a.up.sql", "0000_a.down.sql"), "step 1 is missing"},
		"no down":       {folder("0001_a.up.sql"), "lacks a direction"},
		"no up":         {folder("0001_a.down.sql"), "lacks a direction"},
		"two names":     {folder("0001_a.up.sql", "0001_b.down.sql"), "two names"},
		"a stray file":  {folder("0001_a.up.sql", "0001_a.down.sql", "README.md"), "not named like"},
		"upper case":    {folder("0001_A.up.sql"), "not named like"},
		"commits":       {folder("0001_a.up.sql=SELECT 1;\ncommit ;"), "COMMIT"},
		"begins":        {folder("0001_a.up.sql=begin immediate;"), "BEGIN"},
		"concurrently":  {folder("0001_a.up.sql=CREATE INDEX\nconcurrently i ON t(x)"), "CREATE"},
		"sets a pragma": {folder("0001_a.up.sql=PRAGMA foreign_keys=OFF"), "PRAGMA"},
	} {
		if list, err := From(c.files, "x"); err == nil || list != nil || !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: %v, want an error with %q", name, err, c.problem)
		}
	}
}
