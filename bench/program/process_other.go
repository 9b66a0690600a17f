//go:build !linux

package program

import "os/exec"

// start starts cmd. Only Linux kills it when this process is killed.
func start(cmd *exec.Cmd) error { return cmd.Start() }
