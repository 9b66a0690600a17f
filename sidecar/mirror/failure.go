package mirror

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/smallfile"
)

// failure is the reason why a credential was not written. Neither text contains a
// credential or a password.
type failure struct {
	what  string
	hint  hint.Hint
	whole bool // the whole target fails, not only this credential's file or row
}

func (f *failure) Error() string { return f.what }

func isWhole(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.whole
}

func hintOf(err error) hint.Hint {
	var f *failure
	if errors.As(err, &f) {
		return f.hint
	}
	return hint.Fault
}

// fileFailure returns a failure with a hint for an error of the file system.
func fileFailure(path string, err error) *failure {
	f := &failure{what: fmt.Sprintf("write %s: %s", path, smallfile.WithoutPath(err)), hint: hint.Folder}
	switch {
	case errors.Is(err, errDangling), errors.Is(err, errNoFile):
		f.hint = hint.Linked
	case errors.Is(err, errLinkedPart):
		f.hint = hint.LinkedPart
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		f.hint = hint.Volume
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		f.hint = hint.Writable
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		f.hint = hint.Mounted
	case errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, fs.ErrExist):
		f.hint = hint.InTheWay
	}
	return f
}
