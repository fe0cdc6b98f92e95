//go:build unrecorded

package store

// recordsReads is false in the program that the benchmark makes to compare with.
const recordsReads = false
