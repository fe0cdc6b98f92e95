//go:build !unix

package cmd

// restrictFileModes does nothing where there is no umask.
func restrictFileModes() {}
