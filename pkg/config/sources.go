package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/heartlock/heartlock/pkg/dotenv"
)

// largestFile is more than any configuration file needs. It keeps a wrong path
// (a device, a database) from being read into memory.
const largestFile = 1 << 20

// readEnviron turns KEY=value texts into variables. As in the operating system's
// own functions, the first of two equal names counts.
func readEnviron(environ []string) map[string]variable {
	if environ == nil {
		environ = os.Environ()
	}
	found := make(map[string]variable, len(environ))
	for _, pair := range environ {
		name, value, ok := strings.Cut(pair, "=")
		if _, seen := found[name]; ok && name != "" && !seen {
			found[name] = variable{text: value}
		}
	}
	return found
}

// readDotenv reads the .env file. A file that is not there is empty, unless it
// was asked for by name. The last of two equal names counts.
func readDotenv(path string, mustExist bool, errs *Errors) (map[string]variable, bool) {
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) && !mustExist {
		return nil, false
	}
	if err != nil {
		errs.add(path, "", "can not be read: %s", fileReason(err))
		return nil, false
	}
	entries, err := dotenv.Parse(text)
	var bad *dotenv.Error
	if errors.As(err, &bad) {
		for _, p := range bad.Problems {
			errs.add(path, "", "line %d: %s", p.Line, p.Reason)
		}
	}
	found := make(map[string]variable, len(entries))
	for _, e := range entries {
		found[e.Key] = variable{text: e.Value, line: e.Line}
	}
	return found, true
}

var (
	errNotRegular = errors.New("it is not a regular file")
	errTooBig     = errors.New("it is larger than 1 MiB")
)

// readFile reads a small regular file.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errNotRegular
	case info.Size() > largestFile:
		return nil, errTooBig
	}
	return os.ReadFile(path)
}

// fileReason is why a file could not be used, without repeating its path.
func fileReason(err error) string {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err.Error()
	}
	return err.Error()
}

// absolute is path seen from root; "" stays "".
func absolute(root, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(root, path)
}
