//go:build !unix

package config

// syncDir does nothing: this system has no such operation on directories.
func syncDir(string) error { return nil }
