package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
