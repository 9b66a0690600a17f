package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/smallfile"
)

const (
	// fileMode lets the group read: PHP mostly runs as another user.
	fileMode = 0o640
	// folderMode is the mode of an account's own folder.
	folderMode = 0o750
	// leftoverAge is the age from which a temporary file is abandoned. A write takes
	// milliseconds.
	leftoverAge = time.Minute
	// maxFile is more than the file can have in bytes. A longer one is replaced.
	maxFile = 64 << 10
	// sweepEvery is how often a folder is searched for abandoned files.
	sweepEvery = 10 * time.Minute
)

// rule is the class's own rule and a minute more, in seconds. The class requests a
// token once time() > N + 3600, so it does so one minute before the expiry.
const rule = 3660

// fetched returns the time that the class takes for that of its request, in Unix
// seconds.
func fetched(expires time.Time) int64 { return expires.Unix() - rule }

// file is access_token.json.
type file struct {
	pattern string
	swept   map[string]time.Time // when each folder was swept; used by one goroutine
}

func newFile(pattern string) *file { return &file{pattern: pattern, swept: map[string]time.Time{}} }

// delay is 0 for tokens. Every sidecar writes its own file, without tickets.
func (f *file) delay(c keeper.Change, _ float64) (time.Duration, bool) {
	return 0, c.Kind == memcache.AccessToken
}

// checkEvery is short: a legacy program that finds no file, or a null in it, requests a
// token in vain and stores another null. A deployment can also clear the folder.
func (f *file) checkEvery(keeper.Change) time.Duration { return 15 * time.Second }

// content is what the class reads.
type content struct {
	Token   string `json:"access_token"`
	Fetched int64  `json:"expires_time"`
}

func (f *file) write(_ context.Context, j job) error {
	text, err := json.Marshal(content{j.Value, fetched(j.Expires)}) //nolint:gosec // the file is for the token
	if err != nil {
		return err
	}
	path, err := place(f.pattern, j.AppID)
	switch {
	case err != nil:
	case j.written && holds(path, j):
		return nil
	default:
		err = f.put(path, text)
	}
	if err != nil {
		return fileFailure(path, err)
	}
	return nil
}

// holds reports whether the file has our credential or a newer one. Another sidecar
// with the same file can know of a renewal earlier.
func holds(path string, j job) bool {
	text, _, err := smallfile.Read(path, maxFile)
	var found content
	if err != nil || json.Unmarshal(text, &found) != nil || found.Token == "" {
		return false
	}
	ours := fetched(j.Expires)
	return found.Token == j.Value && found.Fetched == ours || found.Fetched > ours && found.Fetched <= latest(ours)
}

// put writes the file. It creates the account's own folder if that is missing, but never
// the shared folder: if that is missing, so is its mount.
func (f *file) put(path string, text []byte) error {
	shared, own := sharedFolder(f.pattern), filepath.Dir(path)
	if own != shared {
		if _, err := os.Stat(shared); err != nil {
			return err
		}
		if err := os.MkdirAll(own, folderMode); err != nil {
			return err
		}
	}
	target, err := resolve(path)
	if err != nil {
		return err
	}
	if time.Since(f.swept[own]) >= sweepEvery {
		f.swept[own] = time.Now()
		sweep(filepath.Dir(target))
	}
	return replace(target, text)
}

// tempPattern returns the name of temporary files for os.CreateTemp.
func tempPattern(base string) string { return tempPrefix + base + ".*" }

const tempPrefix = ".wxsidecar-"

// replace writes a file that appears whole or not at all: by rename.
func replace(path string, text []byte) (err error) {
	folder, base := filepath.Split(path)
	temp, err := os.CreateTemp(folder, tempPattern(base))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = temp.Close()
			_ = os.Remove(temp.Name()) // if it fails, sweep removes the file
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

// syncFolder makes the new name durable if the file system supports it.
func syncFolder(path string) error {
	folder, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // #nosec G304 -- the operator names it
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

// sweep removes abandoned temporary files. Files that it cannot remove stay.
func sweep(folder string) {
	entries, _ := os.ReadDir(folder)
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), tempPrefix) {
			continue
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > leftoverAge {
			_ = os.Remove(filepath.Join(folder, entry.Name()))
		}
	}
}
