package server

import (
	"testing"

	"github.com/heartlock/heartlock/pkg/config"
)

// A development server that others can reach must not belong to whoever comes
// first; in production a proxy makes every peer look local.
func TestWhoeverCouldBeAStrangerNeedsTheSetUpToken(t *testing.T) {
	for _, c := range []struct {
		debug  bool
		listen string
		needs  bool
	}{
		{true, "127.0.0.1:8082", false},
		{true, "127.9.9.9:0", false},
		{true, "[::1]:8082", false},
		{true, "localhost:8082", false},
		{true, "0.0.0.0:8082", true},
		{true, "[::]:8082", true},
		{true, ":8082", true},
		{true, "192.168.1.7:8082", true},
		{true, "localhost.example.com:8082", true},
		{true, "not an address", true},
		{false, "127.0.0.1:8082", true},
		{false, "0.0.0.0:8082", true},
	} {
		if got := needsSetupToken(&config.Server{Debug: c.debug, ListenAddress: c.listen}); got != c.needs {
			t.Errorf("DEBUG=%v at %s: %v", c.debug, c.listen, got)
		}
	}
}
