// Heartlock is a self-hosted secrets manager for teams: server, web interface
// and command line in one binary.
package main

import (
	"os"

	"github.com/heartlock/heartlock/cmd"
)

// Set when a release is built: -ldflags "-X main.version=1.2.3 …".
var version, commit, date string

func main() {
	os.Exit(cmd.Main(os.Args[1:],
		cmd.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr},
		cmd.Build{Version: version, Commit: commit, Date: date}))
}
