package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// process is a program that runs. It dies with this one, however this one ends.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// starts carries what starts programs to one thread that never ends: the kernel
// ends a child when the thread that started it does.
var starts = func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
}()

// start starts a program with this environment and no other. private gives it a
// mount namespace of its own.
func start(environ []string, private bool, stdout, stderr io.Writer, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), ended: make(chan struct{})} //nolint:gosec,noctx // built here, memcached, php; ended by kill
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = environ, stdout, stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if private {
		privately(p.cmd.SysProcAttr)
	}
	started := make(chan error)
	starts <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(program), err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is seen by who asked it to
	}()
	return p, nil
}

// privately asks for a mount namespace; of a user namespace, where we are not root.
func privately(attr *syscall.SysProcAttr) {
	if os.Getuid() == 0 {
		attr.Unshareflags = syscall.CLONE_NEWNS
		return
	}
	attr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS
	attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) } // one that has ended needs none

// kill ends it at once and waits.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// usage is what a process holds.
type usage struct {
	descriptors, threads int
	anonymous            int // bytes of its own
}

func (p *process) usage() (usage, error) {
	fds, err := os.ReadDir(p.proc("fd"))
	if err != nil {
		return usage{}, err
	}
	tasks, err := os.ReadDir(p.proc("task"))
	if err != nil {
		return usage{}, err
	}
	text, err := os.ReadFile(p.proc("smaps_rollup"))
	if err != nil {
		return usage{}, err
	}
	u := usage{descriptors: len(fds), threads: len(tasks)}
	for line := range strings.SplitSeq(string(text), "\n") {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "Anonymous:" {
			kilobytes, _ := strconv.Atoi(fields[1]) // the kernel writes a number
			u.anonymous = kilobytes << 10
		}
	}
	return u, nil
}

func (p *process) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(p.pid()), name)
}
