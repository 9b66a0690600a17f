package memcache

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// retry runs an operation that can run twice without harm. After a restart of the
// server, every idle connection fails at its first use. So retry drops them all
// and runs the operation once more over a new one.
func (s *server) retry(operation func() error) error {
	err := operation()
	if brokenConnection(err) {
		_ = s.client.Close()
		err = operation()
	}
	return ownError(err)
}

// brokenConnection reports whether the server closed the connection, perhaps while
// it was idle. It is false for a timeout: to try again would wait twice.
func brokenConnection(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// uncertain reports whether a write with this error can have happened.
func uncertain(err error) bool {
	return err != nil && !errors.Is(err, ErrMiss) && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrHeld)
}

// ownError turns the client library's errors into this package's. It replaces
// unknown errors: the library quotes memcached's answers, which can contain tokens.
func ownError(err error) error {
	var network net.Error
	var connect *memcache.ConnectTimeoutError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, memcache.ErrCacheMiss):
		return ErrMiss
	case errors.Is(err, memcache.ErrCASConflict), errors.Is(err, memcache.ErrNotStored):
		return ErrConflict
	}
	for _, own := range refusals {
		if errors.Is(err, own) {
			return own
		}
	}
	if errors.Is(err, ErrFile) || errors.As(err, &network) || errors.As(err, &connect) || brokenConnection(err) {
		return err
	}
	return errAnswer
}

var (
	errAnswer = errors.New("memcache: the answer is not of memcached's protocol; check the server's address")
	errNoLife = errors.New("memcache: the lifetime is less than a second; not written, because exptime 0 means forever")
)

// maxLife is memcached's longest relative lifetime. A larger number is an absolute
// time.
const maxLife = 30 * 24 * time.Hour

// exptime is a life in whole seconds, rounded down.
func exptime(life time.Duration) (int32, error) {
	if life < time.Second {
		return 0, errNoLife
	}
	return int32(min(life, maxLife) / time.Second), nil
}

// NewID returns 16 random bytes in hexadecimal: the id of a lease, a mark or a claim.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

// add stores value under a free key, and returns ErrConflict if the key is not
// free. If the answer is lost, it reads the value back, so callers must not store
// equal values. TestAdd_LostAnswer has each case.
func (s *server) add(key, value string, life time.Duration) error {
	seconds, err := exptime(life)
	if err != nil {
		return err
	}
	return s.observed(opAdd, s.addConfirmed(&memcache.Item{Key: key, Value: []byte(value), Expiration: seconds}))
}

func (s *server) addConfirmed(item *memcache.Item) error {
	for again := true; ; again = false {
		err := s.client.Add(item)
		if !uncertain(ownError(err)) {
			return ownError(err)
		}
		broken := brokenConnection(err)
		if broken {
			_ = s.client.Close()
		}
		found, readErr := s.get(item.Key)
		switch {
		case readErr == nil && string(found.Value) == string(item.Value):
			return nil
		case readErr == nil:
			return ErrConflict
		case !errors.Is(readErr, ErrMiss) || !broken || !again:
			return ownError(err)
		}
	}
}

// get reads one item with its CAS id.
func (s *server) get(key string) (*memcache.Item, error) {
	item, err := get(s.client, key)
	return item, s.observed(opGet, err)
}

// get is one round trip, or two if the connection was broken. An answer with
// another key is an error: the connection is out of step, and would return another
// account's token.
func get(client *memcache.Client, key string) (*memcache.Item, error) {
	item, err := client.Get(key)
	if brokenConnection(err) {
		_ = client.Close()
		item, err = client.Get(key)
	}
	switch {
	case err != nil:
		return nil, ownError(err)
	case item.Key != key:
		_ = client.Close()
		return nil, errAnswer
	}
	return item, nil
}
