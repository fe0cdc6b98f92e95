package config

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
)

// FormerKeysName is the directory in the data directory that holds the keys
// which rotations have retired, for the backups that need them.
const FormerKeysName = "former-keys"

// KeysAreManaged reports whether the encryption keys live in a file that
// Heartlock writes itself; else a person has to change them.
func (s *Server) KeysAreManaged() bool {
	return s.EncryptionKey.Source == KeyFromAppConfig || s.EncryptionKey.Source == KeyFromFile
}

// ReplaceKeys writes other encryption keys, the one that seals first, to the
// file in which they live, durably and in one step, and goes on with them. It is
// refused if the file does not hold the present keys any more, and for keys that
// come from the environment.
func (s *Server) ReplaceKeys(keys []keyring.Key) error {
	var err error
	switch {
	case len(keys) == 0:
		return fault.New(fault.Internal, "there must be an encryption key")
	case s.EncryptionKey.Source == KeyFromAppConfig:
		err = s.replaceAppConfigKeys(keys)
	case s.EncryptionKey.Source == KeyFromFile:
		err = s.replaceKeyFile(keys)
	default:
		return fault.New(fault.Usage, "The encryption key does not come from a file that Heartlock manages.")
	}
	if err == nil {
		s.EncryptionKey.Keys = slices.Clone(keys)
	}
	return err
}

func errKeysChanged(name string) error {
	return fault.Newf(fault.Conflict, "The encryption keys in %s were changed meanwhile. Nothing was written; try again.", name)
}

func (s *Server) replaceAppConfigKeys(keys []keyring.Key) error {
	return UpdateAppConfig(s.DataDir, func(c *AppConfig) error {
		var present []keyring.Key
		for _, text := range append([]Secret{c.EncryptionKey}, c.PreviousEncryptionKeys...) {
			key, err := keyring.ParseKey(text.Reveal())
			if err != nil {
				return errKeysChanged(AppConfigName)
			}
			present = append(present, key)
		}
		if !sameKeys(present, s.EncryptionKey.Keys) {
			return errKeysChanged(AppConfigName)
		}
		c.EncryptionKey, c.PreviousEncryptionKeys = NewSecret(keys[0].Encode()), nil
		for _, k := range keys[1:] {
			c.PreviousEncryptionKeys = append(c.PreviousEncryptionKeys, NewSecret(k.Encode()))
		}
		return nil
	})
}

// sameKeys reports whether two lists hold the same keys, in any order and any
// number.
func sameKeys(a, b []keyring.Key) bool {
	within := func(some, all []keyring.Key) bool {
		return !slices.ContainsFunc(some, func(k keyring.Key) bool { return !slices.ContainsFunc(all, k.Equal) })
	}
	return within(a, b) && within(b, a)
}

func (s *Server) replaceKeyFile(keys []keyring.Key) error {
	path := filepath.Join(s.DataDir, KeyFileName)
	texts := make([]string, len(keys))
	for i, k := range keys {
		texts[i] = k.Encode()
	}
	return withLock(s.DataDir, func() error {
		present, err := readKeyFile(path)
		if err != nil || !sameKeys(present, s.EncryptionKey.Keys) {
			return errKeysChanged(KeyFileName)
		}
		if err := writeAtomically(path, []byte(strings.Join(texts, ",")+"\n")); err != nil {
			return writeError(KeyFileName, err)
		}
		return nil
	})
}

// SaveFormerKey writes a key that is taken out of the settings to a file of its
// own, with mode 0600, and returns its path. A file of this name that holds the
// key already stays; one that holds anything else is fault.Conflict.
func (s *Server) SaveFormerKey(key keyring.Key) (path string, err error) {
	path = filepath.Join(s.DataDir, FormerKeysName, key.Fingerprint()+".key")
	err = withLock(s.DataDir, func() error {
		if err := makeDir(filepath.Dir(path)); err != nil {
			return err
		}
		err := createExclusively(path, []byte(key.Encode()+"\n"))
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if there, err := readKeyFile(path); err != nil || len(there) != 1 || !there[0].Equal(key) {
			return fault.Newf(fault.Conflict, "%s is there already, and does not hold key %s. Nothing was changed; look at the file and move it away.", path, key.Fingerprint())
		}
		return os.Chmod(path, 0o600)
	})
	switch {
	case fault.As(err) != nil:
		return "", err
	case err != nil:
		return "", writeError(path, err)
	}
	return path, nil
}

// ReadKeyFile reads a file that holds one encryption key, or several that are
// separated by commas. Errors are fault.Usage and never repeat the content.
func ReadKeyFile(path string) ([]keyring.Key, error) {
	keys, err := readKeyFile(path)
	if err != nil {
		reason := err.Error()
		if errors.Is(err, fs.ErrNotExist) {
			reason = "is not there"
		}
		return nil, fault.Wrap(fault.Usage, err, fmt.Sprintf("The key file %s: %s", path, strings.TrimSuffix(reason, ".")+"."))
	}
	return keys, nil
}

// Stamp tells states of the files that settings come from apart, without reading
// them: it changes when one of them is written, made or removed.
func Stamp(o Options) string {
	root, err := filepath.Abs(o.Dir)
	if err != nil {
		return ""
	}
	env := o.EnvFile
	if env == "" {
		env = DefaultEnvFile
	}
	data := filepath.Join(root, DataDirName)
	var stamp strings.Builder
	for _, path := range []string{absolute(root, env), filepath.Join(data, AppConfigName), filepath.Join(data, KeyFileName)} {
		if info, err := os.Stat(path); err == nil {
			fmt.Fprintf(&stamp, "%d %d %v", info.Size(), info.ModTime().UnixNano(), fileIdentity(info))
		}
		stamp.WriteByte('\n')
	}
	return stamp.String()
}

// Generation is a short text that is equal for servers with the same settings,
// whatever their source, and tells nothing of them to who does not know key. The
// encryption keys, which change while a server runs, and the address that it
// listens on, which each may have its own, do not count.
func (s *Server) Generation(key []byte) string {
	mac := hmac.New(sha256.New, key)
	for _, setting := range s.settings {
		if setting.Name != varEncryptionKey && setting.Name != varListen {
			_, _ = fmt.Fprintf(mac, "%q=%q\n", setting.Name, setting.Value) // a hash takes everything
		}
	}
	return hex.EncodeToString(mac.Sum(nil)[:4])
}
