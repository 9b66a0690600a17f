package client_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
)

// A Service can connect to an endpoint that has ended: the next one answers, for a read
// and for a report.
func TestSidecar_Service(t *testing.T) {
	ended, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, ended.Close())
	sidecar := newFakeSidecar()
	server := httptest.NewServer(sidecar)
	defer server.Close()
	dials := 0
	service := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		dials++
		endpoint := []string{server.Listener.Addr().String(), ended.Addr().String()}[dials%2]
		return new(net.Dialer).DialContext(ctx, network, endpoint)
	}}
	f := setup(t, func(cfg *client.Config) { cfg.Transport = service })
	f.memcached.Flush()
	assert.Equal(t, t1, f.token(t))
	token, err := f.Refresh(t.Context(), t1)
	require.NoError(t, err)
	assert.Equal(t, t2, token)
	assert.Equal(t, 4, dials)
}
