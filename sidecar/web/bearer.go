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

// bearer is a bearer token in a file that can change. It holds the SHA-256 alone.
type bearer struct {
	path string
	log  *slog.Logger
	good atomic.Pointer[bearerFile]

	mu     sync.Mutex // guards broken
	broken bool       // the file is unusable, and the log says so
}

// bearerFile is the file as last read.
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

// matches reports whether there is one Authorization header, which carries the token.
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

// is reports whether a token is the one in the file, in constant time.
func (b *bearer) is(token string) bool {
	given, wanted := sha256.Sum256([]byte(token)), b.current().digest
	return subtle.ConstantTimeCompare(given[:], wanted[:]) == 1
}

// current returns the file, or its last usable version. A stat, about 1 µs, shows
// whether it changed.
func (b *bearer) current() *bearerFile {
	last := b.good.Load()
	info, err := os.Stat(b.path)
	if err == nil && last.is(info) && last.settled() {
		return last
	}
	fresh, err := readBearer(b.path)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		if !b.broken {
			b.broken = true
			b.log.Error("bearer token unreadable, the last one stays valid", "error", err.Error(),
				"hint", "check SIDECAR_AUTH_TOKEN_FILE and the Secret behind it")
		}
		return last
	}
	if b.broken || fresh.digest != last.digest {
		b.broken = false
		b.log.Info("bearer token read again")
	}
	b.good.Store(fresh)
	return fresh
}

// is reports whether info is that of this version of the file.
func (f *bearerFile) is(info fs.FileInfo) bool {
	return os.SameFile(f.info, info) && f.info.ModTime().Equal(info.ModTime()) && f.info.Size() == info.Size()
}

// settled reports whether a further change must show in the file's time: two changes
// within one tick of the file system's clock have the same time.
func (f *bearerFile) settled() bool { return f.read.Sub(f.info.ModTime()).Abs() > 2*time.Second }

func readBearer(path string) (*bearerFile, error) {
	f := &bearerFile{read: time.Now()}
	var err error
	if f.info, err = os.Stat(path); err != nil { // before reading, so that a change in between shows
		return nil, fmt.Errorf("bearer token: %w", err)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fmt.Errorf("bearer token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if !memcache.ValidCredential(token) {
		return nil, fmt.Errorf("bearer token: %s is empty, longer than %d bytes, or has spaces or control characters; write one token into it", path, memcache.MaxCredential)
	}
	f.digest = sha256.Sum256([]byte(token))
	return f, nil
}
