// Heartlock is a self-hosted secrets manager for teams: server, web interface
// and command line in one binary.
package main

func main() {}
