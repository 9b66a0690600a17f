package memcache_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
)

// A refusal has its cause, and the server's words, which can contain a token, are not in it.
func TestRefusal_ByClass(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]error{
		"SERVER_ERROR out of memory storing object " + canary:                memcache.ErrMemory,
		"SERVER_ERROR Out of memory during read " + canary:                   memcache.ErrMemory,
		"SERVER_ERROR Connection refused " + canary:                          memcache.ErrBackend, // twemproxy
		"SERVER_ERROR Connection timed out":                                  memcache.ErrBackend,
		"SERVER_ERROR Host is down":                                          memcache.ErrBackend,
		"SERVER_ERROR backend failure":                                       memcache.ErrBackend, // memcached's proxy
		"SERVER_ERROR unexpected result mc_res_tko (10) for set":             memcache.ErrBackend, // mcrouter
		"SERVER_ERROR unexpected result mc_res_connect_error (34) " + canary: memcache.ErrBackend,
		"SERVER_ERROR object too large for cache " + canary:                  memcache.ErrServer,
		"SERVER_ERROR " + canary:                                             memcache.ErrServer,
		"CLIENT_ERROR unauthenticated":                                       memcache.ErrUnauthenticated,
		"CLIENT_ERROR authentication failure " + canary:                      memcache.ErrPassword,
		"ERROR Too many open connections":                                    memcache.ErrConnections,
		"\x15\x03\x01\x00\x02\x02F":                                          memcache.ErrTLS,
	} {
		address := nonsense(t, answer+"\r\n")
		slot := slotOf(t, open(t, memcache.Config{Servers: []string{address}, Timeout: 10 * time.Second}))
		err := slot.PutEntry(memcache.Entry{}, token1, time.Hour)
		assertFailure(t, err)
		require.ErrorIs(t, err, want, answer)
		_, err = slot.Get()
		assertFailure(t, err)
		assert.ErrorIs(t, err, want, answer)
	}
}

// closing is a server that says something and closes the connection before it reads.
type closing struct {
	net.Conn // none
	says     string
	then     error
}

func (c *closing) Write([]byte) (int, error)   { return 0, syscall.ECONNRESET }
func (c *closing) SetDeadline(time.Time) error { return nil }
func (c *closing) Close() error                { return nil }
func (c *closing) Read(p []byte) (int, error) {
	n := copy(p, c.says)
	if c.says = c.says[n:]; n == 0 {
		return 0, c.then
	}
	return n, nil
}

// What a server says before it closes a new connection is the cause, although the command
// could not be written.
func TestRefusal_BeforeTheCommand(t *testing.T) {
	t.Parallel()
	for want, c := range map[error]closing{
		memcache.ErrConnections: {says: "ERROR Too many open connections\r\n", then: io.EOF},
		memcache.ErrHandshake:   {then: &net.OpError{Op: "remote error", Err: tls.AlertError(116)}}, // a certificate is required
		memcache.ErrClosed:      {then: io.EOF},
	} {
		store := open(t, memcache.Config{Dial: func(context.Context, string, string) (net.Conn, error) { one := c; return &one, nil }})
		_, err := slotOf(t, store).Get()
		assertFailure(t, err)
		require.ErrorIs(t, err, want)
	}
}

// The real memcached demands TLS (-Z), a password (-Y) or SASL (-S). The error says so.
func TestRefusal_OfGuardedMemcached(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	guard := realmemcached.NewGuard(t)
	realmemcached.Write(t, filepath.Join(dir, "memcached.conf"), []byte("pwcheck_method: auxprop\n"))
	t.Setenv("SASL_CONF_PATH", dir)
	for flag, c := range map[string]struct {
		args  []string
		cause error
		says  string
		found error // by Inspect
	}{
		"TLS":  {guard.TLS(), memcache.ErrClosed, "set MEMCACHED_TLS=true", memcache.ErrTLS},
		"-Y":   {guard.Password(), memcache.ErrUnauthenticated, "set MEMCACHED_AUTH_FILE", memcache.ErrUnauthenticated},
		"SASL": {[]string{"-S"}, memcache.ErrSilent, "SASL authentication (memcached -S)", memcache.ErrSilent},
	} {
		t.Run(flag, func(t *testing.T) {
			guarded := realmemcached.StartGuarded(t, c.args...)
			store := open(t, memcache.Config{Servers: []string{guarded.Address}, Timeout: time.Second})
			for _, err := range []error{store.Ping(), func() error { _, err := slotOf(t, store).Get(); return err }()} {
				assertFailure(t, err)
				require.ErrorIs(t, err, c.cause)
				assert.Contains(t, err.Error(), c.says)
			}
			require.ErrorIs(t, store.Inspect(t.Context())[0].Err, c.found)
		})
	}
}
