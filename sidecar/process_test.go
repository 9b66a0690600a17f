package main

import (
	"syscall"
	"testing"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// process is the program as a process of its own.
type process struct{ *programtest.Process }

// spawn starts the program with these variables and no others.
func spawn(t *testing.T, environ []string, args ...string) *process {
	t.Helper()
	return spawnProgram(t, binary(t), environ, args...)
}

func spawnProgram(t *testing.T, path string, environ []string, args ...string) *process {
	t.Helper()
	return &process{programtest.Start(t, environ, path, args...)}
}

// terminates sends SIGTERM and returns the exit code.
func (p *process) terminates(t *testing.T) int {
	t.Helper()
	p.Signal(syscall.SIGTERM)
	return p.Ends(t, stopsWithin)
}
