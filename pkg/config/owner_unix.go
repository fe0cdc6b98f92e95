//go:build unix

package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// modesMatter: the permission bits of a file say who may read it.
const modesMatter = true

// plantable reports whether somebody else than user may have put the file where
// it is: it belongs neither to user nor to root, and everybody may write in its
// directory, as in /tmp.
func plantable(path string, user int) bool {
	file, err := os.Lstat(path)
	if err != nil || ownedBy(file, user) {
		return false
	}
	dir, err := os.Stat(filepath.Dir(path))
	return err == nil && dir.Mode().Perm()&0o002 != 0
}

func ownedBy(info fs.FileInfo, user int) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (stat.Uid == 0 || int(stat.Uid) == user)
}

// fileIdentity tells a file from one that has taken its name.
func fileIdentity(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}

// adoptOwner gives a new file to whom the file at path belongs, which it is going
// to replace, or else to whom the directory belongs: what root writes for a server
// must stay readable for the server. Who is not root has only files of his own.
func adoptOwner(file *os.File, path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil || sameFile(file, info) {
		if info, err = os.Stat(filepath.Dir(path)); err != nil {
			return err
		}
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Uid == 0 {
		return nil
	}
	return file.Chown(int(stat.Uid), int(stat.Gid))
}

// sameFile reports whether an open file is the one that was looked at.
func sameFile(file *os.File, info fs.FileInfo) bool {
	own, err := file.Stat()
	return err == nil && os.SameFile(own, info)
}
