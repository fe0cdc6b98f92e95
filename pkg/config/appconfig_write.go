package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/heartlock/heartlock/pkg/fault"
)

// lockName is the file in the data directory that serialises its writers. It is
// empty and stays.
const lockName = ".lock"

// UpdateAppConfig changes appconfig.json in the data directory: it reads the
// file, lets change work on it, and writes the result, while no other process
// can do the same. The directory is made with mode 0700 and the file with 0600.
//
// Whoever reads the file, or starts after a crash at any moment, finds either the
// old content or the new, complete. When change returns an error, nothing is
// written and that error is returned; nothing is written either when nothing
// changed.
func UpdateAppConfig(dataDir string, change func(*AppConfig) error) error {
	return withLock(dataDir, func() error {
		config, _, err := ReadAppConfig(dataDir)
		if err != nil {
			return err
		}
		if err := change(&config); err != nil {
			return err
		}
		text, err := config.encode()
		if err != nil {
			return writeError(AppConfigName, err)
		}
		path := filepath.Join(dataDir, AppConfigName)
		if old, err := readFile(path); err == nil && bytes.Equal(old, text) && !looserThan0600(path) {
			return nil
		}
		if err := writeAtomically(path, text); err != nil {
			return writeError(AppConfigName, err)
		}
		return nil
	})
}

func writeError(name string, err error) error {
	return fault.Wrap(fault.Unavailable, err, fmt.Sprintf("%s can not be written.", name))
}

// withLock runs do while this process, and in it this goroutine, is the only one
// that writes in the data directory. The lock ends with the process.
func withLock(dataDir string, do func() error) error {
	if err := makeDir(dataDir); err != nil {
		return writeError(filepath.Base(dataDir), err)
	}
	path := filepath.Join(dataDir, lockName)
	// The lock library would create the file with mode 0666.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return writeError(lockName, err)
	}
	if err := errors.Join(adoptOwner(file, path), file.Close()); err != nil {
		return writeError(lockName, err)
	}
	unlock, err := lockedfile.MutexAt(path).Lock()
	if err != nil {
		return writeError(lockName, err)
	}
	defer unlock()
	return do()
}

// tempPattern names temporary files for a file; what a killed process left of
// them holds secrets and is removed by the next writer.
func tempPattern(path string) string { return "." + filepath.Base(path) + ".*.tmp" }

// writeAtomically replaces path by a file with this content and mode 0600. The
// caller holds the lock of the directory.
func writeAtomically(path string, content []byte) error {
	temp, err := writeTemp(path, content)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDir(filepath.Dir(path))
}

// writeTemp writes content, durably, to a new file beside path.
func writeTemp(path string, content []byte) (string, error) {
	dir := filepath.Dir(path)
	if err := removeLeftovers(path); err != nil {
		return "", err
	}
	file, err := os.CreateTemp(dir, tempPattern(path)) // mode 0600
	if err != nil {
		return "", err
	}
	_, err = file.Write(content)
	if err == nil {
		err = adoptOwner(file, path)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errors.Join(err, os.Remove(file.Name()))
	}
	return file.Name(), nil
}

// makeDir makes a directory that only its owner can enter, unless it is there.
func makeDir(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(adoptOwner(dir, path), dir.Close())
}

func removeLeftovers(path string) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if match, _ := filepath.Match(tempPattern(path), entry.Name()); match {
			if err := os.Remove(filepath.Join(filepath.Dir(path), entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
