// Package soak tests Heartlock from outside, as processes of the real binary
// that are started in the wrong way, killed while they write, and loaded from
// many clients at once. There is nothing in it but tests.
//
// `go test` runs every test in a short form. With -soak, as `make soak` does,
// they run until the figures that Heartlock promises are reached, and print a
// table of them at the end.
package soak
