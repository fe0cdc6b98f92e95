//go:build !unrecorded

package store

// recordsReads says whether a Recorder writes events. It does, but in a program
// that is built with the tag "unrecorded": the benchmark makes one, to measure
// what the audit trail costs. No setting reaches this.
const recordsReads = true
