// Package people tests from outside what a team does with Heartlock: who comes
// in, what ends a session, and what happens when everybody does it at once, on
// one server and on two over the same database. There is nothing in it but tests.
//
// `go test` runs the races in a short form; with -soak, as `make soak` does, they
// run for as many rounds as Heartlock promises.
package people
