package cmd

import (
	"os/exec"
	"syscall"
)

// dieWithTheTest ends a child when this process ends, however that happens.
func dieWithTheTest(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
