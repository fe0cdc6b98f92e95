// Package migrations holds the steps that make and change the schema of the
// database, as pairs of files for each engine:
//
//	sqlite/0001_initial.up.sql      postgres/0001_initial.up.sql
//	sqlite/0001_initial.down.sql    postgres/0001_initial.down.sql
//
// Both engines have the same steps. A step is applied in one transaction, so a
// file must not begin or end one and must not hold a statement that refuses to
// run in one. A file that was released is never changed: write another step.
// What a step does must suit the release before it as well, which may still be
// running beside the new one: add first, remove in a later release.
package migrations

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed sqlite postgres
var files embed.FS

// Migration is one step of the schema.
type Migration struct {
	Version  int // 1, 2, 3 …
	Name     string
	Up       string // SQL that takes the step
	Down     string // SQL that takes it back
	Checksum string // of Up, in hexadecimal
}

// For gives the steps of an engine, "sqlite" or "postgres", in their order.
func For(engine string) ([]Migration, error) {
	return From(files, engine)
}

// From reads steps from the files of a folder. Their versions must be 1, 2, 3
// and so on without a gap, and each must have both directions.
func From(fsys fs.FS, folder string) ([]Migration, error) {
	entries, err := fs.ReadDir(fsys, folder)
	if err != nil {
		return nil, err
	}
	steps := make(map[int]*Migration)
	for _, entry := range entries {
		if err := readFile(fsys, path.Join(folder, entry.Name()), steps); err != nil {
			return nil, err
		}
	}
	list := make([]Migration, 0, len(steps))
	for version := 1; version <= len(steps); version++ {
		step, there := steps[version]
		if !there {
			return nil, fmt.Errorf("%s: step %d is missing", folder, version)
		}
		if step.Up == "" || step.Down == "" {
			return nil, fmt.Errorf("%s: step %d lacks a direction", folder, version)
		}
		list = append(list, *step)
	}
	return list, nil
}

var (
	fileName = regexp.MustCompile(`^(\d{4})_([a-z0-9_]+)\.(up|down)\.sql$`)
	comment  = regexp.MustCompile(`--[^\n]*`)
)

// readFile adds one file to steps.
func readFile(fsys fs.FS, name string, steps map[int]*Migration) error {
	parts := fileName.FindStringSubmatch(path.Base(name))
	if parts == nil {
		return fmt.Errorf("%s: not named like 0001_initial.up.sql", name)
	}
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	if err := suitsTransaction(string(text)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	version, err := strconv.Atoi(parts[1])
	if err != nil {
		return err
	}
	step := steps[version]
	if step == nil {
		step = &Migration{Version: version, Name: parts[2]}
		steps[version] = step
	}
	switch {
	case step.Name != parts[2]:
		return fmt.Errorf("%s: step %d has two names", name, version)
	case parts[3] == "down":
		step.Down = string(text)
	default:
		sum := sha256.Sum256(text)
		step.Up, step.Checksum = string(text), hex.EncodeToString(sum[:])
	}
	return nil
}

// suitsTransaction refuses what would end the transaction around a step or can
// not run in it. (BEGIN alone is also part of a trigger.)
func suitsTransaction(text string) error {
	for statement := range strings.SplitSeq(comment.ReplaceAllString(text, ""), ";") {
		words := strings.Fields(strings.ToUpper(statement))
		if len(words) == 0 {
			continue
		}
		if slices.Contains([]string{"BEGIN", "COMMIT", "ROLLBACK", "START", "VACUUM", "PRAGMA"}, words[0]) || slices.Contains(words, "CONCURRENTLY") {
			return errors.New(words[0] + " … can not be part of a migration, which is one transaction")
		}
	}
	return nil
}
