//go:build !crashpoints

// Package crashpoint marks the places at which a process must be able to die
// without harm. In a program as it is released the marks do nothing. One that is
// built with the tag "crashpoints", for tests, kills itself at the place that
// HEARTLOCK_TEST_CRASH_AT names, as the machine's failure would: nothing is
// tidied up, nothing is written.
package crashpoint

// Reach marks a place, for example "rotate:3:mid".
func Reach(string) {}
