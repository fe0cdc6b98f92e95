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
