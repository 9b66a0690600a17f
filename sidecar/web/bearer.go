package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"strings"

	"github.com/wxsidecar/wxsidecar/sidecar/bearerfile"
	"github.com/wxsidecar/wxsidecar/sidecar/smallfile"
)

// bearer is a file with one bearer token, or two while it is being rotated, which can
// change. It holds their SHA-256 alone.
type bearer struct{ *smallfile.Reread[[]digest] }

type digest [sha256.Size]byte

// newBearer reads the file. Its errors do not quote the content. variable names the file in
// the log.
func newBearer(path, variable string, log *slog.Logger) (*bearer, error) {
	r, err := bearerfile.Open(path, variable, log, func(token string) digest { return sha256.Sum256([]byte(token)) })
	if err != nil {
		return nil, err
	}
	return &bearer{r}, nil
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
	for _, wanted := range b.Current() {
		same |= subtle.ConstantTimeCompare(given[:], wanted[:])
	}
	return same == 1
}
