package client

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/heartlock/heartlock/pkg/api"
	"github.com/heartlock/heartlock/pkg/fault"
)

// storeVersion is the form of the file; a file of another form is not touched.
const storeVersion = 1

// maxStoreBytes bounds what is read as a token store.
const maxStoreBytes = 1 << 20

// TokenStore keeps one token for each server in a file of the user, mode 0600 in
// a directory of mode 0700 whatever the umask. The tokens are not encrypted:
// whoever can read the user's files can use them.
//
// A file is replaced as a whole, never written in place, and under a lock, so
// that commands which run at the same time neither lose each other's entries nor
// read half a file. The zero TokenStore is not usable; see [NewTokenStore].
type TokenStore struct{ dir string }

// StoredToken is one entry of a store.
type StoredToken struct {
	Token   api.Value `json:"token"`
	SavedAt time.Time `json:"saved_at"`
}

// storeFile is the content of tokens.json.
type storeFile struct {
	Version int                    `json:"version"`
	Servers map[string]StoredToken `json:"servers"` // by origin
}

// NewTokenStore is the store in dir, which need not exist yet: it is made by the
// first Put. Nothing is read or written here.
func NewTokenStore(dir string) *TokenStore { return &TokenStore{dir: dir} }

// Path is the file that holds the tokens.
func (s *TokenStore) Path() string { return filepath.Join(s.dir, "tokens.json") }

// Get returns the token for an origin (see [Client.Origin]); ok tells whether
// there is one.
func (s *TokenStore) Get(origin string) (token StoredToken, ok bool, err error) {
	file, err := s.read()
	if err != nil {
		return StoredToken{}, false, err
	}
	token, ok = file.Servers[origin]
	return token, ok && token.Token.Len() > 0, nil
}

// Put saves the token for an origin in place of the one before.
func (s *TokenStore) Put(origin string, token StoredToken) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return s.failed(err, "could not be made")
	}
	return s.change(func(file *storeFile) bool {
		file.Servers[origin] = token
		return true
	})
}

// Delete forgets the token for an origin; it is no error if there is none.
func (s *TokenStore) Delete(origin string) error {
	return s.deleteWhere(origin, func(StoredToken) bool { return true })
}

// DeleteRefused forgets the token for an origin only if it still is the one that
// the server refused: another command may have saved a new one meanwhile. It
// reports whether it did.
func (s *TokenStore) DeleteRefused(origin string, refused api.Value) (deleted bool, err error) {
	err = s.deleteWhere(origin, func(t StoredToken) bool {
		deleted = t.Token.Equal(refused)
		return deleted
	})
	return deleted && err == nil, err
}

func (s *TokenStore) deleteWhere(origin string, condition func(StoredToken) bool) error {
	if _, err := os.Stat(s.Path()); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return s.change(func(file *storeFile) bool {
		t, ok := file.Servers[origin]
		if !ok || !condition(t) {
			return false
		}
		delete(file.Servers, origin)
		return true
	})
}

// Warnings says, in sentences for the user, who else can get at the tokens. It
// is empty when all is well, when there is no store, and on Windows, where file
// modes say nothing.
func (s *TokenStore) Warnings() []string {
	if runtime.GOOS == "windows" {
		return nil
	}
	var warnings []string
	for _, c := range []struct {
		path string
		want fs.FileMode
	}{{s.dir, 0o700}, {s.Path(), 0o600}} {
		info, err := os.Stat(c.path)
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			warnings = append(warnings, fmt.Sprintf("Other users of this machine can get at the tokens in %s (mode %04o). Run: chmod %o '%s'",
				c.path, info.Mode().Perm(), c.want, c.path))
		}
	}
	return warnings
}

// change reads the file, lets edit change it, and writes it back if edit says
// so, all under the lock.
func (s *TokenStore) change(edit func(*storeFile) bool) error {
	unlock, err := lockedfile.MutexAt(s.Path() + ".lock").Lock()
	if err != nil {
		return s.failed(err, "could not be locked")
	}
	defer unlock()
	file, err := s.read()
	if err != nil {
		return err
	}
	if !edit(&file) {
		return nil
	}
	return s.write(file)
}

func (s *TokenStore) read() (storeFile, error) {
	file := storeFile{Version: storeVersion, Servers: map[string]StoredToken{}}
	info, err := os.Stat(s.Path())
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil
	}
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxStoreBytes) {
		return file, s.unreadable(nil)
	}
	data, err := os.ReadFile(s.Path())
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil
	}
	if err != nil {
		return file, s.failed(err, "could not be read")
	}
	var found storeFile
	if err := api.Decode(data, &found); err != nil || found.Version != storeVersion {
		return file, s.unreadable(err)
	}
	if found.Servers != nil {
		file.Servers = found.Servers
	}
	return file, nil
}

// write replaces the file by way of a temporary one, which os.CreateTemp makes
// with O_EXCL and mode 0600; Chmod then undoes what an odd umask took away.
func (s *TokenStore) write(file storeFile) error {
	var b bytes.Buffer
	if err := api.Encode(&b, file); err != nil {
		return s.failed(err, "could not be written")
	}
	b.WriteByte('\n')
	temp, err := os.CreateTemp(s.dir, ".tokens-*")
	if err != nil {
		return s.failed(err, "could not be written")
	}
	defer os.Remove(temp.Name()) // fails after the rename, which is the aim
	_, err = temp.Write(b.Bytes())
	err = errors.Join(err, temp.Chmod(0o600), temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), s.Path())
	}
	if err != nil {
		return s.failed(err, "could not be written")
	}
	return nil
}

func (s *TokenStore) failed(cause error, what string) error {
	if errors.Is(cause, fs.ErrPermission) {
		what += " (permission denied)"
	}
	return fault.Wrap(fault.Usage, cause, fmt.Sprintf("The token store %s %s.", s.Path(), what))
}

func (s *TokenStore) unreadable(cause error) error {
	return fault.Wrap(fault.Usage, cause, fmt.Sprintf(
		"%s is not a token store of this version of Heartlock. It was left as it is; move it away to begin a new one.", s.Path()))
}
