package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/wxsidecar/wxsidecar/sidecar/bearerfile"
	"github.com/wxsidecar/wxsidecar/sidecar/smallfile"
)

// bearer is a file with one or two bearer tokens, which can change. It holds their
// SHA-256 alone.
type bearer struct {
	path     string
	variable string // names the file, for the log
	log      *slog.Logger
	good     atomic.Pointer[bearerFile]

	mu     sync.Mutex // guards broken
	broken bool       // the file is unusable, and the log says so
}

// bearerFile is the file as last read.
type bearerFile struct {
	version smallfile.Version
	digests [][sha256.Size]byte // one, or two while the token is being rotated
}

// newBearer reads the file. Its errors do not quote the content.
func newBearer(path, variable string, log *slog.Logger) (*bearer, error) {
	b := &bearer{path: path, variable: variable, log: log}
	f, err := readBearer(path)
	if err != nil {
		return nil, fmt.Errorf("bearer token: %s: %w", path, err)
	}
	b.good.Store(f)
	return b, nil
}

// matches reports whether there is one Authorization header, which carries a token of
// the file. A nil bearer has no token.
func (b *bearer) matches(authorization []string) bool {
	if b == nil || len(authorization) != 1 {
		return false
	}
	scheme, token, _ := strings.Cut(authorization[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	return b.is(strings.TrimSpace(token))
}

// is reports whether a token is one of those in the file, in constant time. A nil bearer
// has no token.
func (b *bearer) is(token string) bool {
	if b == nil {
		return false
	}
	given, same := sha256.Sum256([]byte(token)), 0
	for _, wanted := range b.current().digests {
		same |= subtle.ConstantTimeCompare(given[:], wanted[:])
	}
	return same == 1
}

// current returns the file, or its last usable version.
func (b *bearer) current() *bearerFile {
	last := b.good.Load()
	if last.version.IsCurrent(b.path) {
		return last
	}
	fresh, err := readBearer(b.path)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		if !b.broken {
			b.broken = true
			b.log.Error("bearer token unreadable, the last one stays valid", "file", b.path, "error", err.Error(),
				"hint", "check "+b.variable+" and the Secret behind it")
		}
		return last
	}
	if b.broken || !slices.Equal(fresh.digests, last.digests) {
		b.broken = false
		b.log.Info("bearer token read again", "tokens", len(fresh.digests))
	}
	b.good.Store(fresh)
	return fresh
}

func readBearer(path string) (*bearerFile, error) {
	tokens, version, err := bearerfile.Read(path)
	if err != nil {
		return nil, err
	}
	f := &bearerFile{version: version}
	for _, token := range tokens {
		f.digests = append(f.digests, sha256.Sum256([]byte(token)))
	}
	return f, nil
}
