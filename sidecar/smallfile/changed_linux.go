package smallfile

import (
	"io/fs"
	"syscall"
	"time"
)

// Changed returns when the content, owner, mode or a name of a file last changed. Unlike its
// modification time, no program can set it.
func Changed(info fs.FileInfo) time.Time {
	if state, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(state.Ctim.Unix())
	}
	return info.ModTime()
}
