//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of the times in /proc: USER_HZ, which is 100 on every
// architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// cpuOf is the processor time that a process has used.
func cpuOf(pid int) (time.Duration, error) {
	_, used, err := stat(fmt.Sprintf("/proc/%d/stat", pid))
	return used, err
}

// cpuOfChildren is the processor time of the processes that pid has started and
// that are still there: for a PostgreSQL server, those of all connections.
func cpuOfChildren(pid int) (time.Duration, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, file := range files {
		parent, used, err := stat(file)
		if err == nil && parent == pid { // one that can not be read has just ended
			sum += used
		}
	}
	return sum, nil
}

// stat reads what proc(5) calls ppid, utime and stime. The second field is a
// name that may hold anything but ends with the last parenthesis.
func stat(file string) (parent int, used time.Duration, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, err
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, 0, fmt.Errorf("%s is not as expected", file)
	}
	numbers := make([]int64, 3)
	for i, field := range [][]byte{fields[1], fields[11], fields[12]} {
		if numbers[i], err = strconv.ParseInt(string(field), 10, 64); err != nil {
			return 0, 0, err
		}
	}
	return int(numbers[0]), time.Duration(numbers[1]+numbers[2]) * clockTick, nil
}

// memoryOf is the resident memory of a process in MiB, now and at its highest.
func memoryOf(pid int) (now, peak float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		if name != "VmRSS" && name != "VmHWM" {
			continue
		}
		kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		if err != nil {
			return 0, 0, err
		}
		if name == "VmRSS" {
			now = kib / 1024
		} else {
			peak = kib / 1024
		}
	}
	return now, peak, nil
}
