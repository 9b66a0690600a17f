package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// start starts a program with an environment, which ends with this program, however
// this one ends.
func start(cmd *exec.Cmd, environ ...string) (*programtest.Process, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environ...)
	return programtest.Launch(cmd)
}

// proc returns the path of a process's file below /proc.
func proc(pid int, name string) string { return filepath.Join("/proc", strconv.Itoa(pid), name) }

// usage returns how many descriptors a process has open, and how many bytes of
// memory are its own.
func usage(pid int) (descriptors, private int, err error) {
	open, err := os.ReadDir(proc(pid, "fd"))
	if err != nil {
		return 0, 0, err
	}
	text, err := os.ReadFile(proc(pid, "smaps_rollup"))
	for line := range strings.SplitSeq(string(text), "\n") {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "Anonymous:" {
			kilobytes, _ := strconv.Atoi(fields[1]) // the kernel writes a number
			private = kilobytes << 10
		}
	}
	return len(open), private, err
}
