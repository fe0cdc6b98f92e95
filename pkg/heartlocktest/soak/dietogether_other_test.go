//go:build unix && !linux

package soak

import "syscall"

// dieTogether can do nothing here: a child that outlives this process is ended
// by its own tests' cleaning up.
func dieTogether(attr *syscall.SysProcAttr) *syscall.SysProcAttr { return attr }
