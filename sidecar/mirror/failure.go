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
	return hintFault
}

// fileFailure says what to do about an error of the file system.
func fileFailure(path string, err error) *failure {
	f := &failure{what: fmt.Sprintf("write %s: %s", path, withoutPath(err)), hint: hintFolder}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		f.hint = hintVolume
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		f.hint = hintWritable
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		f.hint = hintMounted
	case errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTEMPTY), errors.Is(err, fs.ErrExist):
		f.hint = hintInTheWay
	}
	return f
}
