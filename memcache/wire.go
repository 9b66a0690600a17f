package memcache

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// retry runs an operation that may run twice. A pooled connection whose server
// restarted fails at its first use, and so would as many calls as there are idle
// connections: drop them all, then ask once more over a new one.
func (s *server) retry(operation func() error) error {
	err := operation()
	if deadConnection(err) {
		_ = s.client.Close()
		err = operation()
	}
	return tidy(err)
}

// deadConnection reports whether err is how a connection fails that the server
// closed while it was idle. A time-out is none: waiting again would double it.
func deadConnection(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// uncertain reports whether a write that failed so may have happened.
func uncertain(err error) bool {
	return err != nil && !errors.Is(err, ErrMiss) && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrHeld)
}

// tidy turns the client library's errors into this package's. What it does not
// know it replaces: the library quotes memcached's answers, and these may be tokens.
func tidy(err error) error {
	var network net.Error
	var connect *memcache.ConnectTimeoutError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, memcache.ErrCacheMiss):
		return ErrMiss
	case errors.Is(err, memcache.ErrCASConflict), errors.Is(err, memcache.ErrNotStored):
		return ErrConflict
	case errors.As(err, &network), errors.As(err, &connect), deadConnection(err):
		return err
	case strings.Contains(err.Error(), `"SERVER_ERROR`):
		return errors.New("memcache: memcached answered SERVER_ERROR: is it out of memory?")
	}
	return errAnswer
}

var errAnswer = errors.New("memcache: memcached gave an answer that is not of its protocol: does the address name a memcached?")

// maxLife is the longest relative life that memcached knows: a larger number
// would be an absolute time.
const maxLife = 30 * 24 * time.Hour

var errNoLife = errors.New("memcache: less than a second to live: not written, exptime 0 would live for ever")

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

// add stores value where the key is free, or returns ErrConflict. Values must
// differ between callers: if the answer is lost, it reads back and tells its own write
// by the value. TestAWriteWhoseAnswerIsLostIsReadBackAndToldTruthfully has each case.
func (s *server) add(key, value string, life time.Duration) error {
	seconds, err := exptime(life)
	if err != nil {
		return err
	}
	return s.observed(opAdd, s.addSure(&memcache.Item{Key: key, Value: []byte(value), Expiration: seconds}))
}

func (s *server) addSure(item *memcache.Item) error {
	for again := true; ; again = false {
		err := s.client.Add(item)
		if !uncertain(tidy(err)) {
			return tidy(err)
		}
		dead := deadConnection(err)
		if dead {
			_ = s.client.Close()
		}
		there, readErr := s.get(item.Key)
		switch {
		case readErr == nil && string(there.Value) == string(item.Value):
			return nil
		case readErr == nil:
			return ErrConflict
		case !errors.Is(readErr, ErrMiss) || !dead || !again:
			return tidy(err)
		}
	}
}

// get reads one item with its CAS id.
func (s *server) get(key string) (*memcache.Item, error) {
	item, err := get(s.client, key)
	return item, s.observed(opGet, err)
}

// get is one round trip, or two where the connection was dead. An answer about
// another key than the one that was asked for is none: the connection is out of
// step, and would give one account's token to another.
func get(client *memcache.Client, key string) (*memcache.Item, error) {
	item, err := client.Get(key)
	if deadConnection(err) {
		_ = client.Close()
		item, err = client.Get(key)
	}
	switch {
	case err != nil:
		return nil, tidy(err)
	case item.Key != key:
		_ = client.Close()
		return nil, errAnswer
	}
	return item, nil
}
