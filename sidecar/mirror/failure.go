package mirror

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// failure is why a credential was not written. Neither text holds a credential or
// a password.
type failure struct {
	what  string
	hint  string // what to do about it
	whole bool   // the target fails, not only this credential's place
}

func (f *failure) Error() string { return f.what }

func isWhole(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.whole
}

func hintOf(err error) string {
	var f *failure
	if errors.As(err, &f) {
		return f.hint
	}
	return "report it as a fault of wxsidecar"
}

// fileFailure says what to do about an error of the file system.
func fileFailure(path string, err error) *failure {
	f := &failure{what: fmt.Sprintf("write %s: %s", path, withoutPath(err)), hint: "check the folder of MIRROR_FILE"}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		f.hint = "make room on the volume of MIRROR_FILE: the file there stays as it was"
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		f.hint = "let the sidecar's user write into the folder of MIRROR_FILE (on Kubernetes: fsGroup of the pod, no readOnly at the mount)"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		f.hint = "bring the folder of MIRROR_FILE back: is its volume still mounted?"
	case errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, fs.ErrExist):
		f.hint = "remove the folder that stands where MIRROR_FILE should"
	}
	return f
}
