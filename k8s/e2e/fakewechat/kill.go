package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// kill sends SIGKILL to every visible process of that name. In a pod with
// shareProcessNamespace, these include those of other containers. It needs the same
// user and no capability.
func kill(name string, stdout io.Writer) error {
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return err
	}
	killed := 0
	for _, path := range names {
		comm, err := os.ReadFile(path) // #nosec G304 -- of /proc
		if err != nil || strings.TrimSpace(string(comm)) != name {
			continue // the process has ended meanwhile
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return err
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return fmt.Errorf("kill %d: %w", pid, err)
		}
		killed++
	}
	if killed == 0 {
		return fmt.Errorf("no process is called %s here; has the pod shareProcessNamespace: true?", name)
	}
	_, _ = fmt.Fprintf(stdout, "killed %d\n", killed)
	return nil
}
