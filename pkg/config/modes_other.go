//go:build !unix

package config

// modesMatter: this system has access lists instead of permission bits.
const modesMatter = false
