package soak

import "syscall"

// dieTogether ends a child when this process ends, however that happens.
func dieTogether(attr *syscall.SysProcAttr) *syscall.SysProcAttr {
	attr.Pdeathsig = syscall.SIGKILL
	return attr
}
