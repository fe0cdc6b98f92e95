//go:build !unix

package config

import (
	"io/fs"
	"os"
)

// modesMatter: this system has access lists instead of permission bits.
const modesMatter = false

// plantable is unknown here; directories for everybody are not usual.
func plantable(string, int) bool { return false }

// fileIdentity is unknown here; size and time have to do.
func fileIdentity(fs.FileInfo) uint64 { return 0 }

// adoptOwner: an administrator's files are readable for services here.
func adoptOwner(*os.File, string) error { return nil }
