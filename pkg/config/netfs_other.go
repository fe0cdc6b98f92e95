//go:build !linux

package config

// networkFilesystem can not tell on this system.
func networkFilesystem(string) string { return "" }
