//go:build !unix

package config

// modesMatter: this system has access lists instead of permission bits.
const modesMatter = false

// plantable is unknown here; directories for everybody are not usual.
func plantable(string, int) bool { return false }
