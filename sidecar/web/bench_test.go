package web_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
)

// BenchmarkToken compares a token from memory with what net/http itself needs to
// answer with the same bytes, with and without the same headers, all behind the
// same Serve: it shows what the handler costs, not the time-outs. The program
// beside a bare one is measured in bench/.
func BenchmarkToken(b *testing.B) {
	h := newTestSidecar(b, nil, appID)
	api, err := web.NewAPI(web.APIConfig{Group: h.group, Log: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	body := []byte(`{"access_token":"` + strings.Repeat("x", 136) + `","expires_in":3575}` + "\n")
	jsonType, noStore := []string{"application/json"}, []string{"no-store"}
	for _, c := range []struct {
		name    string
		handler http.Handler
	}{
		{"body", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })},
		{"headers", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = jsonType
			w.Header()["Cache-Control"] = noStore
			_, _ = w.Write(body)
		})},
		{"api", api},
	} {
		b.Run(c.name, func(b *testing.B) { benchmark(b, c.handler) })
	}
}

// benchmark asks h over unix sockets that stay open, one for each processor.
func benchmark(b *testing.B, h http.Handler) {
	b.Helper()
	l, err := listener.Open(b.Context(), "unix://"+filepath.Join(b.TempDir(), "s"))
	require.NoError(b, err)
	ctx, stop := context.WithCancel(b.Context())
	served := make(chan error, 1)
	go func() { served <- listener.Serve(ctx, l, h, listener.APILimits()) }()
	defer func() {
		stop()
		require.NoError(b, <-served)
	}()
	request, answer := ask{target: tokenPath}.bytes(), make([]byte, 4096)
	exchange := func(conn net.Conn, answer []byte) (int, error) {
		if _, err := conn.Write(request); err != nil {
			return 0, err
		}
		return io.ReadAtLeast(conn, answer, max(1, len(answer)%4096))
	}
	conn, err := net.Dial("unix", l.Addr().String())
	require.NoError(b, err)
	size, err := exchange(conn, answer)
	require.NoError(b, err)
	require.NoError(b, conn.Close())
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("unix", l.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		answer := make([]byte, size)
		for pb.Next() {
			if _, err := exchange(conn, answer); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
