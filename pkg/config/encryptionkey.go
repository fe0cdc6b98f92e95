package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/heartlock/heartlock/pkg/fault"
	"github.com/heartlock/heartlock/pkg/keyring"
)

// KeyFileName is the file in the data directory that holds the key of a
// development server. While the key is rotated it holds two, separated by a
// comma, the one that seals first.
const KeyFileName = "secret.key"

// KeySource says where the encryption key comes from.
type KeySource string

// The sources, in their order of precedence.
const (
	KeyFromAppConfig   KeySource = AppConfigName
	KeyFromEnvironment KeySource = "environment" // the process environment, the .env file or a flag
	KeyFromFile        KeySource = KeyFileName   // only with DEBUG=True
	// KeyMayBeGenerated: there is no key and DEBUG is on. A server whose database
	// holds nothing encrypted may call [Server.GenerateDevelopmentKey].
	KeyMayBeGenerated KeySource = "not yet generated"
	// KeyEphemeral: there is no key and DEBUG is off. Until one is set, nothing that
	// needs sealing can be stored, and a server that has been set up does not start.
	KeyEphemeral KeySource = "ephemeral"
)

// EncryptionKey is the key, or why there is none.
type EncryptionKey struct {
	Source KeySource
	Keys   []keyring.Key // the first seals, all open; empty for KeyMayBeGenerated and KeyEphemeral
}

// readEncryptionKey reads HEARTLOCK_ENCRYPTION_KEY or encryption_key. Keyring's
// errors never repeat the text.
func readEncryptionKey(l *loader, text string) (err error) {
	l.server.EncryptionKey.Keys, err = keyring.ParseKeys(text)
	return err
}

// encryptionKeyRule finds the source of the key.
func (l *loader) encryptionKeyRule() {
	key := &l.server.EncryptionKey
	winner, found := l.layers.get(varEncryptionKey)
	switch {
	case found && winner.layer == layerAppConfig:
		key.Source = KeyFromAppConfig
		l.previousKeysRule()
		l.differentKeyRule(winner)
	case found:
		key.Source = KeyFromEnvironment
	default:
		l.keyFileRule()
	}
}

// previousKeysRule adds the keys of appconfig.json that only open.
func (l *loader) previousKeysRule() {
	key := &l.server.EncryptionKey
	for i, text := range l.appConfig.PreviousEncryptionKeys {
		previous, err := keyring.ParseKey(text.Reveal())
		if err != nil {
			l.errs.add("previous_encryption_keys", AppConfigName, "item %d: %s", i+1, err)
			continue
		}
		if !slices.ContainsFunc(key.Keys, previous.Equal) {
			key.Keys = append(key.Keys, previous)
		}
	}
}

// differentKeyRule warns when the environment has another key than
// appconfig.json, which wins.
func (l *loader) differentKeyRule(winner candidate) {
	if len(l.server.EncryptionKey.Keys) == 0 {
		return
	}
	inUse := l.server.EncryptionKey.Keys[0]
	for _, loser := range l.layers.losers(winner, varEncryptionKey) {
		others, err := keyring.ParseKeys(loser.text())
		switch {
		case err != nil:
			l.warn("%s in %s is not a key and has no effect: the key in %s (%s) counts.", varEncryptionKey, loser.where(), AppConfigName, inUse.Fingerprint())
		case !others[0].Equal(inUse):
			l.warn("%s in %s (key %s) has no effect: the key in %s (%s) counts.", varEncryptionKey, loser.where(), others[0].Fingerprint(), AppConfigName, inUse.Fingerprint())
		}
	}
}

// keyFileRule looks for secret.key, which counts in development only.
func (l *loader) keyFileRule() {
	s := l.server
	path := filepath.Join(s.DataDir, KeyFileName)
	if !s.Debug {
		s.EncryptionKey.Source = KeyEphemeral
		if _, err := os.Lstat(path); err == nil {
			l.warn("%s is ignored with DEBUG=False; set %s.", path, varEncryptionKey)
		}
		return
	}
	if l.bad(varDebug) {
		return
	}
	keys, err := readKeyFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.EncryptionKey.Source = KeyMayBeGenerated
	case err != nil:
		l.errs.add(path, "", "%s", err)
	default:
		s.EncryptionKey = EncryptionKey{Source: KeyFromFile, Keys: keys}
		if looserThan0600(path) {
			l.warn("%s can be read by other users; run chmod 600 on it.", path)
		}
	}
}

// readKeyFile reads the keys of a key file. The error does not repeat its
// content; it is fs.ErrNotExist when there is no file.
func readKeyFile(path string) ([]keyring.Key, error) {
	text, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, dangling := os.Lstat(path); dangling == nil {
			return nil, errors.New("is a link to a file that is not there")
		}
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("can not be read: %s", fileReason(err))
	}
	return keyring.ParseKeys(string(text))
}

// GenerateDevelopmentKey makes a key for a development server that has none and
// writes it to secret.key in the data directory, with mode 0600 and durably. The
// caller has made sure that the database holds nothing that was encrypted with
// another key.
//
// Of several processes that do this at once, one writes and has created == true;
// the others read what it wrote, so all end with the same key. A file that is
// already there is never replaced: when it can not be read as a key, that is the
// error. Only EncryptionKey and the report of the settings are changed; calling
// it for any other source than [KeyMayBeGenerated] is an error.
func (s *Server) GenerateDevelopmentKey() (created bool, err error) {
	if !s.Debug || s.EncryptionKey.Source != KeyMayBeGenerated {
		return false, fault.Newf(fault.Usage, "An encryption key is generated only with DEBUG=True and where there is none.")
	}
	path := filepath.Join(s.DataDir, KeyFileName)
	var keys []keyring.Key
	err = withLock(s.DataDir, func() error {
		keys, err = readKeyFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			keys, created = []keyring.Key{keyring.Generate()}, true
			err = createExclusively(path, []byte(keys[0].Encode()+"\n"))
			if errors.Is(err, fs.ErrExist) { // by something that does not know our lock
				created = false
				keys, err = readKeyFile(path)
			}
		}
		return err
	})
	if err != nil {
		return false, fault.Wrap(fault.Usage, err, fmt.Sprintf("%s: the encryption key can not be read or written: %s", path, fileReason(err)))
	}
	s.EncryptionKey = EncryptionKey{Source: KeyFromFile, Keys: keys}
	source := string(KeyFromFile)
	if created {
		source = "generated"
	}
	s.setKeySetting(source)
	return created, nil
}

// createExclusively creates path with this content and mode 0600, or fails with
// fs.ErrExist. The name appears together with the content: a temporary file is
// linked to it, so a process killed in the middle leaves no half a key.
func createExclusively(path string, content []byte) error {
	temp, err := writeTemp(path, content)
	if err != nil {
		return err
	}
	err = os.Link(temp, path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		err = createWithoutLink(path, content) // some network file systems have no links
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	return errors.Join(err, os.Remove(temp))
}

func createWithoutLink(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}
