package client_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
)

// closer is a body without GetBody.
type closer struct {
	io.Reader
	closed bool
}

func (c *closer) Close() error { c.closed = true; return nil }

// The second request has the same body, if that is not too long.
func TestHTTPClient_Body(t *testing.T) {
	const limit = 1 << 20
	big := strings.Repeat("x", limit)
	for name, c := range map[string]struct {
		body   io.Reader
		length int64
		want   string
		times  int
	}{
		"none":                        {nil, 0, "", 2},
		"with GetBody":                {strings.NewReader("{}"), 2, "{}", 2},
		"with GetBody, long":          {strings.NewReader(big + "x"), limit + 1, big + "x", 2},
		"a stream":                    {&closer{Reader: strings.NewReader("{}")}, -1, "{}", 2},
		"a slow stream":               {&closer{Reader: iotest.OneByteReader(strings.NewReader("{}"))}, -1, "{}", 2},
		"a stream of known length":    {&closer{Reader: strings.NewReader("{}")}, 2, "{}", 2},
		"a stream at the limit":       {&closer{Reader: strings.NewReader(big)}, -1, big, 2},
		"a stream beyond the limit":   {&closer{Reader: strings.NewReader(big + "x")}, -1, big + "x", 1},
		"a stream that ends with EOF": {&closer{Reader: iotest.DataErrReader(strings.NewReader("{}"))}, -1, "{}", 2},
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t)
			hc, n := f.browse(t, map[string]http.HandlerFunc{"api.weixin.qq.com": wechat(t2, "40001")})
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api+"/cgi-bin/x", c.body)
			require.NoError(t, err)
			req.ContentLength = c.length
			resp, err := hc.Do(req)
			answer := read(t, resp, err)
			require.Len(t, n.log(), c.times)
			for _, s := range n.log() {
				assert.Equal(t, c.want, s.body, "another body arrived")
			}
			assert.Equal(t, c.times == 2, strings.Contains(answer, `"errcode":0`))
			assert.Len(t, f.sidecar.reports(), 1, "reported in any case, for the next request")
			if body, ok := c.body.(*closer); ok {
				assert.True(t, body.closed)
			}
		})
	}
}

// The answer can arrive before the body is read: the rest of it cannot be repeated.
func TestHTTPClient_UnreadBody(t *testing.T) {
	f := setup(t)
	early := roundTrip(func(r *http.Request) (*http.Response, error) {
		_, err := io.ReadFull(r.Body, make([]byte, 3))
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
		return &http.Response{
			StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(`{"errcode":40001}`)),
		}, nil
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api+"/cgi-bin/x", &closer{Reader: strings.NewReader("canary")})
	require.NoError(t, err)
	resp, err := f.HTTPClient(&http.Client{Transport: early}).Do(req)
	assert.Equal(t, `{"errcode":40001}`, read(t, resp, err))
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The caller gets every byte of an answer, and only a refusal leads to a report.
func TestHTTPClient_WholeAnswer(t *testing.T) {
	long := `{"data":"` + strings.Repeat("x", 200<<10) + `","errcode":40001}`
	for name, c := range map[string]struct {
		contentType, body string
		reports           int
	}{
		"a refusal":                   {"application/json; charset=UTF-8", `{"errcode":40001,"errmsg":"x"}`, 1},
		"a refusal as text":           {"text/plain", ` {"errcode":42001,"errmsg":"x"}`, 1},
		"errcode behind other fields": {"application/json", `{"a":{"errcode":0},"b":[1,{}],"errcode":40014}`, 1},
		"errcode beyond the limit":    {"application/json", long, 0},
		"errcode within an item":      {"application/json", `{"list":[{"errcode":40001}],"item":{"errcode":40001}}`, 0},
		"two errcodes":                {"application/json", `{"errcode":0,"errcode":40001}`, 0},
		"a list":                      {"application/json", `[{"errcode":40001}]`, 0},
		"no JSON":                     {"application/json", `errcode 40001`, 0},
		"cut JSON":                    {"application/json", `{"errcode":4000`, 0},
		"empty":                       {"application/json", ``, 0},
		"text":                        {"text/plain", strings.Repeat("hello", 1000), 0},
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t)
			hc, _ := f.browse(t, map[string]http.HandlerFunc{"api.weixin.qq.com": always(c.contentType, c.body)})
			resp, err := hc.Get(api + "/cgi-bin/x")
			assert.Equal(t, c.body, read(t, resp, err), "another body arrived")
			assert.Len(t, f.sidecar.reports(), c.reports)
		})
	}
}

// A compressed answer is not decoded.
func TestHTTPClient_Compressed(t *testing.T) {
	f := setup(t)
	var compressed bytes.Buffer
	zip := gzip.NewWriter(&compressed)
	_, err := io.WriteString(zip, `{"errcode":40001}`)
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	hc, _ := f.browse(t, map[string]http.HandlerFunc{"api.weixin.qq.com": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(compressed.Bytes())
	}})
	resp, err := hc.Get(api + "/cgi-bin/x")
	assert.Equal(t, compressed.String(), read(t, resp, err))
	assert.Empty(t, f.sidecar.reports())
}

// counted counts the reads of a body.
type counted struct {
	io.Reader
	reads int
}

func (c *counted) Read(p []byte) (int, error) { c.reads++; return c.Reader.Read(p) }

// A stream is read once, unless the read is all white space or ends before the value of
// errcode.
func TestHTTPClient_Stream(t *testing.T) {
	for begins, reads := range map[string]int{"\xff\xd8\xff": 1, "[": 1, `{"errcode":0,`: 1, `{"errcode":"45009"`: 1, `{"errcode":{`: 1, "\n": 2, `{"errcode":0`: 2} {
		f := setup(t)
		body := &counted{Reader: io.MultiReader(strings.NewReader(begins), strings.NewReader(", more"))}
		hc := f.HTTPClient(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(body)}, nil
		})})
		resp, err := hc.Get(api + "/cgi-bin/media/get?media_id=1")
		require.NoError(t, err)
		assert.Equal(t, reads, body.reads, begins)
		assert.Equal(t, begins+", more", read(t, resp, err))
	}
}

// An answer that breaks off does so for the caller too.
func TestHTTPClient_BrokenAnswer(t *testing.T) {
	f := setup(t)
	cut := errors.New("connection reset")
	hc := f.HTTPClient(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		body := io.MultiReader(strings.NewReader(`{"data":"x`), iotest.ErrReader(cut))
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(body)}, nil
	})})
	resp, err := hc.Get(api + "/cgi-bin/x")
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.ErrorIs(t, err, cut)
	assert.True(t, string(body) == `{"data":"x`) //nolint:testifylint // it is no JSON
}

// The rest of a refusal that has not arrived delays nothing.
func TestHTTPClient_RestOfRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		rest, never := io.Pipe()
		hc := f.HTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			answer := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}
			if r.URL.Query().Get("access_token") == t1 {
				answer.Body = struct {
					io.Reader
					io.Closer
				}{io.MultiReader(strings.NewReader(`{"errcode":40001,`), rest), rest}
			}
			return answer, nil
		})})
		start := time.Now()
		time.AfterFunc(time.Minute, func() { _ = never.Close() })
		resp, err := hc.Get(api + "/cgi-bin/x")
		assert.Empty(t, read(t, resp, err))
		assert.Zero(t, time.Since(start))
	})
}

// A refusal that has arrived and its repetition share a connection.
func TestHTTPClient_Connection(t *testing.T) {
	f := setup(t, func(cfg *client.Config) { cfg.WeChatHosts = []string{"127.0.0.1"} })
	addresses := make(chan string, 3)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		addresses <- r.RemoteAddr
		wechat(t2, "40001")(w, r)
	}))
	defer server.Close()
	resp, err := f.HTTPClient(nil).Get(server.URL + "/cgi-bin/x")
	assert.Contains(t, read(t, resp, err), `"errcode":0`)
	first, second := <-addresses, <-addresses
	assert.Equal(t, first, second)
}
