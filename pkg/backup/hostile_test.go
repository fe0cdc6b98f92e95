package backup_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/backup"
	"github.com/heartlock/heartlock/pkg/fault"
)

// Files that somebody made who knows the passphrase: everything is authentic,
// nothing is true.

const phrase = "a long passphrase"

// forged encrypts a stream as a backup, with a cheap passphrase.
func forged(t *testing.T, content io.Reader, workFactor int) []byte {
	t.Helper()
	var file bytes.Buffer
	to := must(age.NewScryptRecipient(phrase))
	to.SetWorkFactor(workFactor)
	encrypted := must(age.Encrypt(&file, to))
	if _, err := io.Copy(encrypted, content); err != nil {
		t.Fatal(err)
	}
	check(t, encrypted.Close())
	return file.Bytes()
}

func zipped(t *testing.T, content io.Reader) io.Reader {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := io.Copy(z, content); err != nil {
		t.Fatal(err)
	}
	check(t, z.Close())
	return &out
}

var byPhrase = backup.Opener{Passphrase: func() (api.Value, error) { return api.NewValue(phrase), nil }}

const (
	head     = `{"format":"heartlock backup","version":1,"created_at":"2027-01-31T12:00:00Z","taken_at":"2027-01-31T12:00:00Z","heartlock":"1","schema_version":2,"engine":"sqlite","keys":[],"carries_keys":false,"tables":[{"name":"a","rows":2},{"name":"b","rows":0}]}`
	firstRow = `[1,"x"]`
	nextRow  = `[2,null]`
)

// lines are those of a right file.
func lines() []string {
	sum := sha256.Sum256([]byte(firstRow + "\n" + nextRow + "\n"))
	none := sha256.Sum256(nil)
	return []string{
		head, `{"table":"a","columns":[["id","int"],["name","text"]]}`, firstRow, nextRow,
		fmt.Sprintf(`{"rows":2,"sha256":"%s"}`, hex.EncodeToString(sum[:])),
		`{"table":"b","columns":[["id","int"]]}`, fmt.Sprintf(`{"rows":0,"sha256":"%s"}`, hex.EncodeToString(none[:])),
	}
}

// ended are lines with a right end.
func ended(list []string) string {
	text := strings.Join(list, "\n") + "\n"
	sum := sha256.Sum256([]byte(text))
	return text + fmt.Sprintf(`{"sha256":"%s"}`, hex.EncodeToString(sum[:])) + "\n"
}

// manyColumns are the columns of a head, each of which would take room in every
// row that a reader holds.
func manyColumns(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`["c%d","int"]`, i)
	}
	return strings.Join(list, ",")
}

// TestWideTablesAreRefusedAtTheirHead because whoever reads makes room for rows of
// that width.
func TestWideTablesAreRefusedAtTheirHead(t *testing.T) {
	t.Parallel()
	list := lines()
	list[1] = `{"table":"a","columns":[` + manyColumns(1000) + `]}`
	r := must(backup.NewReader(bytes.NewReader(forged(t, zipped(t, strings.NewReader(ended(list))), 10)), byPhrase))
	if _, columns, err := r.NextTable(); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("%d columns, %v", len(columns), err)
	}
}

func TestForgedFilesAreRefused(t *testing.T) {
	t.Parallel()
	change := func(i int, line string) string {
		list := lines()
		list[i] = line
		return ended(list)
	}
	swap := func(i, j int) string {
		list := lines()
		list[i], list[j] = list[j], list[i]
		return ended(list)
	}
	without := func(i int) string {
		list := lines()
		return ended(append(list[:i], list[i+1:]...))
	}
	if _, got, err := read(forged(t, zipped(t, strings.NewReader(ended(lines()))), 10), byPhrase); err != nil || len(got) != 2 {
		t.Fatalf("the right file: %v, %v", got, err)
	}
	right := ended(lines())
	for name, text := range map[string]string{
		"rows in another order":     swap(2, 3),
		"tables in another order":   swap(1, 5),
		"a row less":                without(3),
		"no end of a table":         without(4),
		"a table less":              strings.Join(lines()[:5], "\n") + "\n",
		"another sum of all":        strings.Replace(right, head, strings.Replace(head, "2027-01-31T12:00:00Z", "2027-01-30T12:00:00Z", 1), 1),
		"no end":                    strings.Join(lines(), "\n") + "\n",
		"an end without line break": strings.TrimSuffix(right, "\n"),
		"more after the end":        right + "\n",
		"a row more":                change(3, nextRow+"\n[3,null]"),
		"a row of other columns":    change(2, `[1]`),
		"a row of more columns":     change(2, `[1,"x",2]`),
		"a row of other kinds":      change(2, `["1","x"]`),
		"a fraction":                change(2, `[1.5,"x"]`),
		"a number too large":        change(2, `[9223372036854775808,"x"]`),
		"two rows in a line":        change(2, `[1,"x"][1,"x"]`),
		"no JSON":                   change(2, `[1,"x"`),
		"an unknown kind":           change(1, `{"table":"a","columns":[["id","float"],["name","text"]]}`),
		"a column twice":            change(1, `{"table":"a","columns":[["id","int"],["id","text"]]}`),
		"too many columns":          change(1, `{"table":"a","columns":[`+manyColumns(1000)+`]}`),
		"a column with a quote":     change(1, `{"table":"a","columns":[["id","int"],["a\"b","text"]]}`),
		"an unknown member":         change(1, `{"table":"a","more":1,"columns":[["id","int"],["name","text"]]}`),
		"a table with a quote":      change(0, strings.Replace(head, `"name":"a"`, `"name":"a; DROP TABLE b"`, 1)),
		"a table twice":             change(0, strings.Replace(head, `"name":"b"`, `"name":"a"`, 1)),
		"another format":            change(0, strings.Replace(head, "heartlock backup", "heartlock", 1)),
		"version 0":                 change(0, strings.Replace(head, `"version":1`, `"version":0`, 1)),
		"carries keys but has none": change(0, strings.Replace(head, `"carries_keys":false`, `"carries_keys":true`, 1)),
		"nothing":                   "",
	} {
		_, _, err := read(forged(t, zipped(t, strings.NewReader(text)), 10), byPhrase)
		if !errors.Is(err, fault.Invalid) || !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestANewerFormatIsNamed(t *testing.T) {
	t.Parallel()
	text := strings.Replace(ended(lines()), `"version":1`, `"version":2,"new":[]`, 1)
	_, _, err := read(forged(t, zipped(t, strings.NewReader(text)), 10), byPhrase)
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "newer heartlock") {
		t.Errorf("%v", err)
	}
}

func TestOtherLayersAreRefused(t *testing.T) {
	t.Parallel()
	right := ended(lines())
	both, err := io.ReadAll(io.MultiReader(zipped(t, strings.NewReader(right)), zipped(t, strings.NewReader(right))))
	check(t, err)
	whole, err := io.ReadAll(zipped(t, strings.NewReader(right)))
	check(t, err)
	for name, content := range map[string][]byte{
		"not compressed":      []byte(right),
		"two streams":         both,
		"more after gzip":     append(bytes.Clone(whole), 0),
		"gzip cut off":        whole[:len(whole)-1],
		"another sum of gzip": append(bytes.Clone(whole[:len(whole)-8]), 1, 2, 3, 4, 5, 6, 7, 8),
	} {
		if _, _, err := read(forged(t, bytes.NewReader(content), 10), byPhrase); !errors.Is(err, backup.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFileCanNotAskForEndlessWork(t *testing.T) {
	t.Parallel()
	file := forged(t, strings.NewReader(""), 12)
	file = bytes.Replace(file, []byte(" 12\n"), []byte(" 21\n"), 1)
	if _, _, err := read(file, byPhrase); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("%v", err)
	}
}

// bomb is gzip (RFC 1952) of first, and then of block again and again. A block of
// deflate that was compressed for itself refers to nothing before it, so it can
// be repeated as it is, which takes no time.
func bomb(t *testing.T, first, block string, times int) io.Reader {
	t.Helper()
	const (
		header   = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
		lastOne  = "\x03\x00"                         // an empty block that says that it is the last
		checksum = "\x00\x00\x00\x00\x00\x00\x00\x00" // wrong: nobody should come to it
	)
	return strings.NewReader(header + deflated(t, first) + strings.Repeat(deflated(t, block), times) + lastOne + checksum)
}

func deflated(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	z := must(flate.NewWriter(&out, flate.BestCompression))
	_, err := z.Write([]byte(text))
	check(t, err)
	check(t, z.Flush())
	return out.String()
}

func TestABombDoesNotFillTheMemory(t *testing.T) {
	const mebi, times, most = 1 << 20, 1 << 10, 64 << 20 // 1 GiB
	begun := strings.Join(lines()[:2], "\n") + "\n"
	row := `[1,"x"]` + "\n"
	for name, content := range map[string]io.Reader{
		"zeros":      bomb(t, "", strings.Repeat("\x00", mebi), times),
		"a long row": bomb(t, begun+`[1,"`, strings.Repeat("x", mebi), times),
		"many rows":  bomb(t, begun, strings.Repeat(row, mebi/len(row)), times),
	} {
		file := forged(t, content, 10)
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := read(file, byPhrase)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, backup.ErrDamaged) || errors.Is(err, gzip.ErrChecksum) {
			t.Errorf("%s: %v", name, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > most {
			t.Errorf("%s takes %d MiB", name, used>>20)
		}
	}
}
