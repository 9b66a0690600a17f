package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/smallfile"
)

const (
	minBearer = 16 // bytes; openssl rand -hex 32 makes 64
	maxBearer = 2048
	// exampleBearer begins the text in k8s/secret.example.yaml, which everybody knows.
	exampleBearer = "replace-me"
)

// bearer is a file with one or two bearer tokens, which can change. It holds their
// SHA-256 alone.
type bearer struct {
	path string
	log  *slog.Logger
	good atomic.Pointer[bearerFile]

	mu     sync.Mutex // guards broken
	broken bool       // the file is unusable, and the log says so
}

// bearerFile is the file as last read.
type bearerFile struct {
	info    fs.FileInfo
	read    time.Time
	digests [][sha256.Size]byte // one, or two while the token is being rotated
}

// newBearer reads the file. Its errors do not quote the content.
func newBearer(path string, log *slog.Logger) (*bearer, error) {
	b := &bearer{path: path, log: log}
	f, err := readBearer(path)
	if err != nil {
		return nil, fmt.Errorf("bearer token: %s: %w", path, err)
	}
	b.good.Store(f)
	return b, nil
}

// CheckBearerFile returns an error if a file has no usable bearer token. The error quotes
// neither its content nor its path.
func CheckBearerFile(path string) error {
	_, err := readBearer(path)
	return err
}

// matches reports whether there is one Authorization header, which carries a token of
// the file.
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

// is reports whether a token is one of those in the file, in constant time.
func (b *bearer) is(token string) bool {
	given, same := sha256.Sum256([]byte(token)), 0
	for _, wanted := range b.current().digests {
		same |= subtle.ConstantTimeCompare(given[:], wanted[:])
	}
	return same == 1
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
			b.log.Error("bearer token unreadable, the last one stays valid", "file", b.path, "error", err.Error(),
				"hint", "check SIDECAR_AUTH_TOKEN_FILE and the Secret behind it")
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

// is reports whether info is that of this version of the file.
func (f *bearerFile) is(info fs.FileInfo) bool {
	return os.SameFile(f.info, info) && f.info.ModTime().Equal(info.ModTime()) && f.info.Size() == info.Size()
}

// settled reports whether a further change must show in the file's time: two changes
// within one tick of the file system's clock have the same time.
func (f *bearerFile) settled() bool { return f.read.Sub(f.info.ModTime()).Abs() > 2*time.Second }

func readBearer(path string) (*bearerFile, error) {
	f := &bearerFile{read: time.Now()}
	text, info, err := smallfile.Read(path, 2*maxBearer+64) // with white space
	if err != nil {
		return nil, fmt.Errorf("the file is unreadable: %w", err)
	}
	if err := smallfile.CheckText(text); err != nil {
		return nil, err
	}
	f.info = info
	for line := range strings.Lines(string(text)) {
		token := strings.TrimSpace(line)
		if token == "" {
			continue
		}
		if err := checkBearer(token); err != nil {
			return nil, err
		}
		f.digests = append(f.digests, sha256.Sum256([]byte(token)))
	}
	switch len(f.digests) {
	case 0:
		return nil, errors.New("the file is empty")
	case 1, 2:
		return f, nil
	}
	return nil, errors.New("the file has more than two lines")
}

func checkBearer(token string) error {
	switch {
	case len(token) < minBearer:
		return fmt.Errorf("a token has fewer than %d bytes", minBearer)
	case len(token) > maxBearer:
		return fmt.Errorf("a token has more than %d bytes", maxBearer)
	case strings.HasPrefix(token, exampleBearer):
		return errors.New("the token is the text of the example")
	case strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c >= 0x7f }):
		return errors.New("a token has a space, a control character or a character that is not ASCII")
	}
	return nil
}
