package program

import (
	"os/exec"
	"runtime"
	"syscall"
)

// starts has the starts of processes, for one thread that never ends. The kernel sends
// Pdeathsig when the thread that started a process ends.
var starts = func() chan<- func() {
	all := make(chan func())
	go func() {
		runtime.LockOSThread()
		for start := range all {
			start()
		}
	}()
	return all
}()

// start starts cmd. The kernel kills it when this process ends, even by kill -9.
func start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	starts <- func() { started <- cmd.Start() }
	return <-started
}
