//go:build unix

package store

import "syscall"

// mayReadAndWrite asks whether the user may, without opening the file.
func mayReadAndWrite(path string) error {
	const readAndWrite = 4 | 2 // R_OK | W_OK
	return syscall.Access(path, readAndWrite)
}
