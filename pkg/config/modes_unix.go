//go:build unix

package config

// modesMatter: the permission bits of a file say who may read it.
const modesMatter = true
