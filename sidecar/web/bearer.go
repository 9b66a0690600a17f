package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// bearer is a bearer token in a file that may change. Only its SHA-256 is kept.
type bearer struct {
	path string
	log  *slog.Logger
	good atomic.Pointer[bearerFile]

	mu     sync.Mutex // guards what follows
	broken bool       // the file cannot be used for now, and the log says so
}

// bearerFile is the file as it was last read.
type bearerFile struct {
	info   fs.FileInfo
	read   time.Time
	digest [sha256.Size]byte
}

// newBearer reads the file. Its errors do not quote it.
func newBearer(path string, log *slog.Logger) (*bearer, error) {
	b := &bearer{path: path, log: log}
	f, err := readBearer(path)
	if err != nil {
		return nil, err
	}
	b.good.Store(f)
	return b, nil
}

// matches reports whether the values of an Authorization header are one, and
// carry the token.
func (b *bearer) matches(authorization []string) bool {
	if len(authorization) != 1 {
		return false
	}
	scheme, token, _ := strings.Cut(authorization[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	return b.is(strings.TrimSpace(token))
}

// is reports whether a token is the one in the file. The comparison takes the
// same time wherever they differ.
func (b *bearer) is(token string) bool {
	given, wanted := sha256.Sum256([]byte(token)), b.current().digest
	return subtle.ConstantTimeCompare(given[:], wanted[:]) == 1
}

// current is the file as it is, or as it last was while it could be used. To
// look whether it changed costs a stat, about 1 µs.
func (b *bearer) current() *bearerFile {
	last := b.good.Load()
	info, err := os.Stat(b.path)
	if err == nil && last.is(info) {
		if last.settled() {
			return last
		}
	}
	fresh, err := readBearer(b.path)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		if !b.broken {
			b.broken = true
			b.log.Error("the bearer token cannot be read: the last one stays good", "error", err.Error(),
				"hint", "check SIDECAR_AUTH_TOKEN_FILE and the Secret behind it")
		}
		return last
	}
	if b.broken || fresh.digest != last.digest {
		b.broken = false
		b.log.Info("read the bearer token again")
	}
	b.good.Store(fresh)
	return fresh
}

// is reports whether info is that of the file that was read.
func (f *bearerFile) is(info fs.FileInfo) bool {
	return os.SameFile(f.info, info) && f.info.ModTime().Equal(info.ModTime()) && f.info.Size() == info.Size()
}

// settled reports whether another change must show in the time of the file: two
// within one tick of the file system's clock leave the same.
func (f *bearerFile) settled() bool { return f.read.Sub(f.info.ModTime()).Abs() > 2*time.Second }

func readBearer(path string) (*bearerFile, error) {
	f := &bearerFile{read: time.Now()}
	var err error
	if f.info, err = os.Stat(path); err != nil { // before reading: what comes in between shows
		return nil, fmt.Errorf("bearer token: %w", err)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fmt.Errorf("bearer token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if !memcache.ValidCredential(token) {
		return nil, fmt.Errorf("bearer token: %s is empty, longer than %d bytes, or has spaces or control characters", path, memcache.MaxCredential)
	}
	f.digest = sha256.Sum256([]byte(token))
	return f, nil
}
