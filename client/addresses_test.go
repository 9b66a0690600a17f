package client_test

import (
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/names"
)

// A server whose name has several addresses is logged once, with what to do, however often
// the Client connects. The reads go on.
func TestLog_SeveralAddresses(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	dns, log, server := names.New(), new(strings.Builder), "memcached.example.test:"+port
	f := setup(t, func(cfg *client.Config) {
		cfg.Servers, cfg.Memcached.Dial, cfg.Log = []string{server}, dns.Dial, slog.New(slog.NewTextHandler(log, nil))
	})
	go func() { _ = f.memcached.Serve(listener) }()
	read := func(addresses ...string) { // over a new connection
		dns.Set("memcached.example.test", addresses...)
		f.memcached.Restart()
		f.memcached.Put("wx1", t1, 0, 3600)
		assert.Equal(t, t1, f.token(t))
	}
	read("127.0.0.1")
	assert.Empty(t, log.String())
	for range 3 {
		read("127.0.0.2", "127.0.0.1")
		read("127.0.0.1")
	}
	assert.Zero(t, f.sidecar.asked())
	assert.Equal(t, 1, strings.Count(log.String(), "\n"))
	assert.Contains(t, log.String(), `level=WARN msg="memcached name has several addresses" server=`+server+` addresses=127.0.0.1,127.0.0.2`)
	assert.Contains(t, log.String(), "use a Service with a ClusterIP and one pod, or name each pod in MEMCACHED_SERVERS")
}
