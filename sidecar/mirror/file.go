package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

const (
	// fileMode lets the group read: PHP mostly runs as another user.
	fileMode = 0o640
	// folderMode is that of an account's folder, which lies in one that is there.
	folderMode = 0o750
	// leftover is the age at which a temporary file is nobody's any more: one is
	// written within milliseconds.
	leftover = time.Minute
	// sweepEvery is how often a folder is looked through for them.
	sweepEvery = 10 * time.Minute
)

// rule is by how much the class's own rule is late: it fetches once
// time() > N + 3600. A minute more, and it first fires a minute before the death.
const rule = 3660

// fetched is the time that the class takes for that of its fetch, in Unix seconds.
func fetched(dies time.Time) int64 { return dies.Unix() - rule }

// file is access_token.json.
type file struct {
	pattern string
	swept   map[string]time.Time // folders, and when they were; one goroutine uses it
}

func newFile(pattern string) *file { return &file{pattern: pattern, swept: map[string]time.Time{}} }

// delay: every sidecar writes its own file, and only tokens.
func (f *file) delay(c keeper.Change, _ float64) (time.Duration, bool) {
	return 0, c.Kind == memcache.AccessToken
}

// again: a legacy program that found no file, or a null in it, fetches in vain and
// stores another null, and a deployment may clear the folder.
func (f *file) again(keeper.Change) time.Duration { return 15 * time.Second }

// content is the file, as the class reads it.
type content struct {
	Token   string `json:"access_token"`
	Fetched int64  `json:"expires_time"`
}

func (f *file) write(_ context.Context, j job) error {
	path := fill(f.pattern, j.AppID)
	text, err := json.Marshal(content{j.Value, fetched(j.Expires)}) //nolint:gosec // the file is for the token
	if err != nil {
		return err
	}
	if j.written && holds(path, j) {
		return nil
	}
	if err := f.folder(path); err != nil {
		return fileFailure(path, err)
	}
	if err := replace(path, text); err != nil {
		return fileFailure(path, err)
	}
	return nil
}

// holds reports whether the file is ours, or a newer one: of another sidecar that
// writes the same file, and has seen a renewal before this one.
func holds(path string, j job) bool {
	text, err := os.ReadFile(path) // #nosec G304 -- the operator names it
	var there content
	if err != nil || json.Unmarshal(text, &there) != nil || there.Token == "" {
		return false
	}
	ours := fetched(j.Expires)
	return there.Token == j.Value && there.Fetched == ours || there.Fetched > ours && there.Fetched <= latest(ours)
}

// folder makes the account's own folder where it is missing, never the shared one:
// where that is gone, so is its mount. It removes what killed writers left.
func (f *file) folder(path string) error {
	shared, own := sharedFolder(f.pattern), filepath.Dir(path)
	if own != shared {
		if _, err := os.Stat(shared); err != nil {
			return err
		}
		if err := os.MkdirAll(own, folderMode); err != nil {
			return err
		}
	}
	if time.Since(f.swept[own]) >= sweepEvery {
		f.swept[own] = time.Now()
		sweep(own)
	}
	return nil
}

// tempPattern is what temporary files are called, for os.CreateTemp.
func tempPattern(base string) string { return tempPrefix + base + ".*" }

const tempPrefix = ".wxsidecar-"

// replace writes a file that appears whole or not at all.
func replace(path string, text []byte) (err error) {
	folder, base := filepath.Split(path)
	temp, err := os.CreateTemp(folder, tempPattern(base))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = temp.Close()
			_ = os.Remove(temp.Name()) // what is left is swept
		}
	}()
	if _, err := temp.Write(text); err != nil {
		return err
	}
	if err := temp.Chmod(fileMode); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	if err := temp.Close(); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return err
	}
	return syncFolder(folder)
}

// syncFolder makes the new name last, where the file system can.
func syncFolder(path string) error {
	folder, err := os.Open(path) // #nosec G304 -- the operator names it
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	err = folder.Sync()
	if runtime.GOOS == "windows" || errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		return nil
	}
	return err
}

// sweep removes temporary files that nobody writes any more. What cannot be
// removed lies where it lies.
func sweep(folder string) {
	entries, _ := os.ReadDir(folder)
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), tempPrefix) {
			continue
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > leftover {
			_ = os.Remove(filepath.Join(folder, entry.Name()))
		}
	}
}

// withoutPath is an error of the file system without the paths, which it quotes.
func withoutPath(err error) error {
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
