package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
)

// answering makes the sidecar send this answer to every request.
func (f *fakeSidecar) answering(status int, header, value, body string) {
	f.instead = func(w http.ResponseWriter, _ *http.Request) bool {
		if header != "" {
			w.Header().Set(header, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return true
	}
}

// A refusal is an *Error with its code.
func TestSidecar_Refusal(t *testing.T) {
	for _, c := range []struct {
		status     int
		body       string
		retryAfter string
		want       client.Error
	}{
		{502, `{"errcode":40164,"errmsg":"invalid ip 1.2.3.4 rid: 65f"}`, "", client.Error{Code: 40164, Message: "invalid ip 1.2.3.4 rid: 65f"}},
		{503, `{"errcode":-1,"errmsg":"nothing valid"}`, "7", client.Error{Code: -1, Message: "nothing valid", RetryAfter: 7 * time.Second}},
		{429, `{"errcode":429,"errmsg":"too soon"}`, "31", client.Error{Code: 429, Message: "too soon", RetryAfter: 31 * time.Second}},
		{429, `{"errcode":429,"errmsg":"too soon","hint":"wait"}`, "9", client.Error{Code: 429, Message: "too soon (wait)", RetryAfter: 9 * time.Second}},
		{429, `{"errcode":429,"errmsg":"too soon"}`, "-3", client.Error{Code: 429, Message: "too soon"}},
		{401, `{"errcode":401,"errmsg":"bearer"}`, "soon", client.Error{Code: 401, Message: "bearer"}},
		{502, `{"errcode":40001,"errmsg":"` + t1 + ` is not latest"}`, "", client.Error{Code: 40001, Message: "[redacted] is not latest"}},
	} {
		f := setup(t)
		f.sidecar.answering(c.status, "Retry-After", c.retryAfter, c.body)
		_, err := f.Refresh(t.Context(), t1)
		var refusal *client.Error
		require.ErrorAs(t, err, &refusal)
		assert.Equal(t, c.want, *refusal)
		require.ErrorContains(t, err, "client: refresh access_token of wx1: the sidecar answered")
		clean(t, err)
	}
}

// If another server answers, the error says so.
func TestSidecar_OtherServer(t *testing.T) {
	for name, answer := range map[string]func(*fakeSidecar){
		"a page":          func(f *fakeSidecar) { f.answering(200, "", "", "<html>"+t1) },
		"an empty token":  func(f *fakeSidecar) { f.answering(200, "", "", `{"access_token":"","expires_in":7200}`) },
		"a damaged token": func(f *fakeSidecar) { f.answering(200, "", "", `{"access_token":"canarytoken 1","expires_in":7200}`) },
		"a full-width token": func(f *fakeSidecar) {
			f.answering(200, "", "", `{"access_token":"\uff43anarytoken","expires_in":7200}`)
		},
		"a token as a failure": func(f *fakeSidecar) { f.answering(500, "", "", `{"access_token":"`+t1+`"}`) },
		"a failing server":     func(f *fakeSidecar) { f.answering(500, "", "", "Internal Server Error") },
		"a redirect":           func(f *fakeSidecar) { f.answering(302, "Location", "http://elsewhere/"+t1, "") },
		"no end":               func(f *fakeSidecar) { f.answering(200, "", "", strings.Repeat(" ", 1<<20)+`{"access_token":"`+t1+`"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t)
			f.memcached.Flush()
			answer(f.sidecar)
			_, err := f.AccessToken(t.Context())
			require.ErrorContains(t, err, "is not a sidecar's answer; check SIDECAR_URL")
			assert.Equal(t, 1, f.sidecar.asked())
			clean(t, err)
		})
	}
}

// If an ingress in front of the sidecar answers, the error does not blame the address.
func TestSidecar_IngressAnswers(t *testing.T) {
	for _, status := range []int{502, 503, 504} {
		f := setup(t)
		f.memcached.Flush()
		f.sidecar.answering(status, "", "", "<html>"+t1)
		_, err := f.AccessToken(t.Context())
		require.ErrorContains(t, err, fmt.Sprintf("HTTP %d from something in front of the sidecar; check that the sidecar runs", status))
		clean(t, err)
	}
}

// A call waits 13 s for a sidecar that does not answer.
func TestSidecar_Timeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.memcached.Flush()
		f.sidecar.before = func(r *http.Request) { <-r.Context().Done() }
		start := time.Now()
		_, err := f.AccessToken(t.Context())
		assert.Equal(t, 13*time.Second, time.Since(start))
		require.ErrorContains(t, err, "no answer within 13s")
		clean(t, err)
	})
}

// A changed bearer token is used at once.
func TestSidecar_BearerRotation(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(bearer+"\n"), 0o600))
	f := setup(t, func(cfg *client.Config) { cfg.AuthTokenFile = file })
	f.memcached.Flush()
	for i, want := range []string{bearer, bearer + "2"} {
		require.NoError(t, os.WriteFile(file, []byte(want+"\n"), 0o600))
		require.NotEmpty(t, f.token(t))
		assert.Equal(t, "Bearer "+want, f.sidecar.requests[i].Header.Get("Authorization"))
	}
	f.sidecar.answering(401, "", "", `{"errcode":401,"errmsg":"not `+bearer+`2"}`)
	_, err := f.AccessToken(t.Context())
	clean(t, err)
	require.ErrorContains(t, err, "not [redacted]")

	require.NoError(t, os.Remove(file))
	asked := f.sidecar.asked()
	_, err = f.AccessToken(t.Context())
	require.ErrorContains(t, err, file)
	assert.Equal(t, asked, f.sidecar.asked())
}

// During a rotation the file has two tokens: the first is sent, and after a 401 the other
// one, of the file as it is then.
func TestSidecar_TwoBearers(t *testing.T) {
	const b1, b2, b3 = bearer + "1", bearer + "2", bearer + "3"
	for name, c := range map[string]struct {
		before, after string // the file
		accepted      string
		sent          []string
	}{
		"the first":               {b1 + "\n" + b2, b1 + "\n" + b2, b1, []string{b1}},
		"the second":              {b1 + "\r\n\r\n" + b2 + "\r\n", b1 + "\n" + b2, b2, []string{b1, b2}},
		"neither":                 {b1 + "\n" + b2, b1 + "\n" + b2, b3, []string{b1, b2}},
		"one line":                {b1, b1, b2, []string{b1}},
		"the same twice":          {b1 + "\n" + b1, b1 + "\n" + b1, b2, []string{b1}},
		"changed meanwhile":       {b1, b2, b2, []string{b1, b2}},
		"two, changed meanwhile":  {b1 + "\n" + b2, b2 + "\n" + b3, b2, []string{b1, b2}},
		"invalid after the first": {b1, " ", b2, []string{b1}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "token")
			require.NoError(t, os.WriteFile(file, []byte(c.before), 0o600))
			f := setup(t, func(cfg *client.Config) { cfg.AuthTokenFile = file })
			var sent []string
			f.sidecar.instead = func(w http.ResponseWriter, r *http.Request) bool {
				got := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
				sent = append(sent, got)
				assert.NoError(t, os.WriteFile(file, []byte(c.after), 0o600))
				if got != c.accepted {
					refuse(w, 401, 401, "neither "+b1+" nor "+b2)
				}
				return got != c.accepted
			}
			token, err := f.Refresh(t.Context(), t1)
			assert.True(t, slices.Equal(c.sent, sent), "%d requests", len(sent))
			if c.accepted == sent[len(sent)-1] {
				require.NoError(t, err)
				assert.Equal(t, t2, token)
				return
			}
			var refusal *client.Error
			require.ErrorAs(t, err, &refusal)
			assert.Equal(t, 401, refusal.Code)
			assert.NotContains(t, err.Error(), sent[0], "a bearer token is shown")
			assert.NotContains(t, err.Error(), sent[len(sent)-1], "a bearer token is shown")
		})
	}
}

// A refused or ended connection costs a second request and no error: a Service has
// other sidecars. There is no third.
func TestSidecar_Disconnected(t *testing.T) {
	for name, cause := range map[string]error{
		"refused": &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, "reset": syscall.ECONNRESET, "ended": io.EOF,
	} {
		for failures, works := range map[int]bool{1: true, 2: false} {
			sidecar := newFakeSidecar()
			tries := 0
			f := setup(t, func(cfg *client.Config) {
				cfg.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
					if tries++; tries <= failures {
						return nil, cause
					}
					return sidecar.RoundTrip(r)
				})
			})
			f.memcached.Flush()
			token, err := f.AccessToken(t.Context())
			assert.Equal(t, 2, tries, name)
			if works {
				require.NoError(t, err, name)
				assert.Equal(t, t1, token)
				tries = 0
				token, err = f.Refresh(t.Context(), t1)
				require.NoError(t, err, name)
				assert.Equal(t, t2, token)
			} else {
				require.ErrorIs(t, err, cause, name)
			}
		}
	}
}

// The Client reaches a sidecar over TCP and over a unix socket.
func TestSidecar_Networks(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			address := "127.0.0.1:0"
			if network == "unix" {
				address = filepath.Join(t.TempDir(), "s")
			}
			listener, err := net.Listen(network, address)
			require.NoError(t, err)
			f := setup(t, func(cfg *client.Config) {
				cfg.Transport = nil
				cfg.Sidecar = map[string]string{"tcp": "http://" + listener.Addr().String(), "unix": "unix://" + address}[network]
			})
			server := httptest.NewUnstartedServer(f.sidecar)
			server.Listener = listener
			server.Start()
			f.memcached.Flush()
			assert.Equal(t, t1, f.token(t))
			token, err := f.Refresh(t.Context(), t1)
			require.NoError(t, err)
			assert.Equal(t, t2, token)

			server.Close()
			_, err = f.Refresh(t.Context(), t2)
			require.Error(t, err)
			var connection *net.OpError
			require.ErrorAs(t, err, &connection)
			require.ErrorContains(t, err, map[string]string{
				"tcp": "check SIDECAR_URL and that the sidecar is running", "unix": "this process sees no socket there: mount its folder",
			}[network])
			clean(t, err)
		})
	}
}

// A process without the socket's group gets to know that. Root may open any socket, so the dialer
// answers as the kernel does.
func TestSidecar_SocketOfAnotherGroup(t *testing.T) {
	f := setup(t, func(cfg *client.Config) {
		cfg.Sidecar = "unix:///run/wxsidecar/api.sock"
		cfg.Transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EACCES)}
		}}
	})
	_, err := f.Refresh(t.Context(), t1)
	require.ErrorContains(t, err, "connect: permission denied; this process may not open the socket: give it the socket's group")
}

// A report is repeated over a new connection: the sidecar restarts, and closes the idle
// connection while the report is sent.
func TestRefresh_ClosedConnection(t *testing.T) {
	f := setup(t)
	server := httptest.NewServer(f.sidecar)
	defer server.Close()
	c, err := client.New(client.Config{AppID: "wx1", Memcached: client.Memcached{Dial: f.memcached.Dial}, Sidecar: server.URL})
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	_, err = c.Refresh(t.Context(), t1)
	require.NoError(t, err)
	f.sidecar.instead = func(http.ResponseWriter, *http.Request) bool {
		if f.sidecar.asked() == 2 {
			panic(http.ErrAbortHandler)
		}
		return false
	}
	token, err := c.Refresh(t.Context(), t2)
	require.NoError(t, err)
	assert.Equal(t, t3, token)
	assert.Equal(t, 3, f.sidecar.asked())
}

// An error does not show what net/http wraps around it.
func TestSidecar_TransportError(t *testing.T) {
	f := setup(t)
	f.sidecar.down = fmt.Errorf("proxy: %w", errors.Join(errDown))
	f.memcached.Flush()
	_, err := f.AccessToken(t.Context())
	require.ErrorIs(t, err, errDown)
	require.ErrorContains(t, err, "client: get access_token of wx1: sidecar at http://127.0.0.1:7200: proxy: connection refused; check SIDECAR_URL")
	assert.NotContains(t, err.Error(), "/v1/", "what net/http wraps around it")
}

// A printed Client shows no token.
func TestClient_Print(t *testing.T) {
	f := setup(t, withLocal(30*time.Second))
	require.NotEmpty(t, f.token(t))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		assert.NotContains(t, fmt.Sprintf(verb, f.Client), "canarytoken")
	}
}

// The headers of an answer are bounded.
func TestSidecar_HeaderLimit(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 100 {
			w.Header().Set(fmt.Sprintf("X-Long-%d", i), strings.Repeat("a", 1000))
		}
		_, _ = io.WriteString(w, `{"access_token":"canarytoken-0009","expires_in":3000}`)
	}))
	t.Cleanup(server.Close)
	c, err := client.New(client.Config{AppID: "wx1", Sidecar: server.URL, Memcached: client.Memcached{Dial: dialDown}})
	require.NoError(t, err)
	_, err = c.AccessToken(t.Context())
	require.ErrorContains(t, err, "header")
	clean(t, err)
}

// Without memcached every read asks the sidecar.
func TestAccessToken_MemcachedIsOff(t *testing.T) {
	f := newFakeSidecar()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	variables(t, map[string]string{"WECHAT_APPID": "wx1", "MEMCACHED_SERVERS": "off", "SIDECAR_URL": server.URL})
	c, err := client.FromEnv()
	require.NoError(t, err)
	for range 3 {
		token, err := c.AccessToken(t.Context())
		require.NoError(t, err)
		assert.Equal(t, t1, token)
	}
	assert.Len(t, f.requests, 3)
	require.NoError(t, c.Close())
	_, err = client.New(client.Config{AppID: "wx1", Servers: []string{"off", "memcached:11211"}})
	require.ErrorContains(t, err, "Servers: off cannot be together with servers; remove off, or remove the servers")

	for name, value := range map[string]string{"MEMCACHED_TLS": "true", "MEMCACHED_CA_FILE": "/nowhere/at/all", "MEMCACHED_AUTH_FILE": "/nowhere/at/all"} {
		variables(t, map[string]string{"WECHAT_APPID": "wx1", "MEMCACHED_SERVERS": "off", name: value})
		_, err = client.FromEnv()
		require.ErrorContains(t, err, "MEMCACHED_SERVERS: off means no memcached; name memcached, or remove MEMCACHED_TLS, MEMCACHED_CA_FILE and MEMCACHED_AUTH_FILE", name)
	}
	variables(t, map[string]string{"WECHAT_APPID": "wx1", "MEMCACHED_SERVERS": "off", "MEMCACHED_HASH": "crc32"})
	_, err = client.FromEnv()
	require.ErrorContains(t, err, "MEMCACHED_HASH: unknown hash")
}
