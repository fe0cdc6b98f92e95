//go:build crashpoints

package crashpoint

import (
	"os"
	"syscall"
)

// Reach kills the process with SIGKILL if HEARTLOCK_TEST_CRASH_AT names place.
func Reach(place string) {
	if os.Getenv("HEARTLOCK_TEST_CRASH_AT") != place {
		return
	}
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	select {} // the signal may take a moment
}
