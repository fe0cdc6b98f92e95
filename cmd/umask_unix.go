//go:build unix

package cmd

import "syscall"

// restrictFileModes makes sure that no file of the server is readable for
// others, whatever the umask it was started under.
func restrictFileModes() { syscall.Umask(0o077) }
