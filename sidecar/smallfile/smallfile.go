// Package smallfile reads files that an operator names: secrets and mirrors. Such a path
// can name anything, so a read neither blocks nor takes more memory than its limit.
package smallfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// ErrNotRegular is returned for a FIFO, a socket or a device.
var ErrNotRegular = errors.New("not a regular file")

// Read returns the content of a regular file of at most limit bytes, and the file's state
// before it was read. It follows links: Kubernetes mounts each key of a Secret as one.
//
// Its errors quote no path: operators sometimes put a secret where a path belongs.
func Read(path string, limit int) (content []byte, before fs.FileInfo, err error) {
	// Without O_NONBLOCK, to open a FIFO waits for a writer.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // #nosec G304 -- the operator names it
	if errors.Is(err, fs.ErrPermission) {
		return nil, nil, fmt.Errorf("%w; let the user %d read it (chown or chmod)", WithoutPath(err), os.Getuid())
	}
	if err != nil {
		return nil, nil, WithoutPath(err)
	}
	defer func() { _ = file.Close() }()
	before, err = file.Stat()
	switch {
	case err != nil:
		return nil, nil, WithoutPath(err)
	case before.IsDir():
		return nil, nil, syscall.EISDIR
	case !before.Mode().IsRegular():
		return nil, nil, ErrNotRegular
	}
	content, err = io.ReadAll(io.LimitReader(file, int64(limit)+1))
	switch {
	case err != nil:
		return nil, nil, WithoutPath(err)
	case len(content) > limit:
		return nil, nil, fmt.Errorf("the file has more than %d bytes", limit)
	}
	return content, before, nil
}

// Version says which version of a file was read.
type Version struct {
	path string
	info fs.FileInfo
	read time.Time
}

// ReadVersion is Read, and says which version it returns.
func ReadVersion(path string, limit int) ([]byte, Version, error) {
	start := time.Now()
	content, info, err := Read(path, limit)
	return content, Version{path, info, start}, err
}

// hasChanged reports whether the file may be another version now. Two changes within one
// tick of the file system's clock have the same time: so a version that was read within 2 s
// of a change always counts as changed.
func (v Version) hasChanged() bool {
	info, err := os.Stat(v.path)
	return err != nil || v.info == nil || !os.SameFile(v.info, info) || !v.info.ModTime().Equal(info.ModTime()) ||
		v.info.Size() != info.Size() || v.read.Sub(v.info.ModTime()).Abs() <= 2*time.Second
}

// CheckText returns an error if content begins with a byte order mark, or is UTF-16, as
// editors and shells on Windows write.
func CheckText(content []byte) error {
	switch {
	case bytes.HasPrefix(content, []byte("\xef\xbb\xbf")):
		return errors.New("the file begins with a byte order mark (BOM); save it as UTF-8 without BOM")
	case bytes.HasPrefix(content, []byte("\xff\xfe")), bytes.HasPrefix(content, []byte("\xfe\xff")), bytes.IndexByte(content, 0) >= 0:
		return errors.New("the file is UTF-16; save it as UTF-8 without BOM")
	}
	return nil
}

// WithoutPath returns an error of the file system without the paths that it quotes.
func WithoutPath(err error) error {
	var one *fs.PathError
	var two *os.LinkError
	switch {
	case errors.As(err, &one):
		return one.Err
	case errors.As(err, &two):
		return two.Err
	}
	return err
}
