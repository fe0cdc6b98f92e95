// Package heartlocktest is the harness of Heartlock's tests: throw-away database
// servers and whatever else a test needs from the world outside. Only tests
// import it. A part that is missing on the machine fails the test that needs it,
// with one line that says what to install.
//
// Tests of a package that the harness itself is built on must be in its external
// test package (package x_test), or the imports form a ring.
package heartlocktest
