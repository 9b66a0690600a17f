package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

const appID = "wx0123456789abcdef"

// bench is a fake WeChat with its control routes, a memcached, and a sidecar that
// gives the test's answers.
type bench struct {
	fake    *wechattest.Server
	control *httptest.Server
	cached  *memcachetest.Server
	server  string
	slot    *memcache.Slot
	sidecar *httptest.Server

	mu     sync.Mutex // guards answer
	answer string     // the sidecar's token; empty: 503
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{fake: wechattest.New(), cached: memcachetest.New()}
	b.fake.AddAccount(appID, "canarysecret-of-the-bench")
	b.control = httptest.NewServer(newControl(b.fake))
	t.Cleanup(b.control.Close)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = b.cached.Serve(listener) }()
	t.Cleanup(func() { assert.NoError(t, b.cached.Close()) })
	b.server = listener.Addr().String()
	store, err := memcache.New(memcache.Config{Servers: []string{b.server}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	b.slot, err = store.Slot(appID, memcache.AccessToken)
	require.NoError(t, err)
	b.sidecar = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.answer == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
			answer(w, map[string]any{"errcode": -1, "errmsg": "nothing to give"})
			return
		}
		answer(w, map[string]any{"access_token": b.answer, "expires_in": 100})
	}))
	t.Cleanup(b.sidecar.Close)
	return b
}

// put writes a token into memcached's entry.
func (b *bench) put(t *testing.T, token string) {
	t.Helper()
	seen, err := b.slot.Entry()
	require.NoError(t, err)
	require.NoError(t, b.slot.PutEntry(seen, token, time.Minute))
}

// read runs a reader until its books satisfy enough, and returns its last.
func (b *bench) read(t *testing.T, enough func(books) bool) (last books) {
	t.Helper()
	var out strings.Builder
	r := &reader{
		cfg:     client.Config{AppID: appID, Servers: []string{b.server}, Sidecar: b.sidecar.URL},
		control: b.control.URL, every: time.Millisecond, patience: 5 * time.Second, books: books{Name: "reader"},
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx, &out) }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); ; {
		r.mu.Lock()
		done := enough(r.books)
		r.mu.Unlock()
		if done {
			break
		}
		select {
		case <-tick.C:
		case <-deadline:
			cancel()
			require.Failf(t, "the books never came to that", "%+v", <-ended)
		}
	}
	cancel()
	require.NoError(t, <-ended)
	var c counts
	b.ask(t, "/counts", "", &c)
	last = c.Readers["reader"]
	assert.True(t, last.Ended, "the last counters are the reported ones")
	for _, canary := range []string{"canary" + "secret", "canary" + "token"} {
		assert.Zero(t, strings.Count(out.String(), canary), "a secret or a token was printed")
	}
	return last
}

// ask requests a control route: with a body, by POST.
func (b *bench) ask(t *testing.T, route, body string, into any) {
	t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, b.control.URL+route, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { assert.NoError(t, resp.Body.Close()) }()
	require.Equal(t, http.StatusOK, resp.StatusCode, route)
	if into != nil {
		require.NoError(t, json.NewDecoder(resp.Body).Decode(into))
	}
}

func TestReader_CountsValidTokensBySource(t *testing.T) {
	b := newBench(t)
	b.put(t, b.fake.FetchExternally(appID))
	last := b.read(t, func(b books) bool { return b.Reads >= 20 })
	assert.Zero(t, last.Failed+last.Invalid+last.Unjudged)
	assert.Equal(t, last.Reads, last.FromMemcached)
	assert.Equal(t, 1, last.Tokens)
	assert.True(t, last.Entry.There)
	assert.Zero(t, last.Entry.Gaps)

	b = newBench(t)
	b.answer = b.fake.FetchExternally(appID)
	last = b.read(t, func(b books) bool { return b.Reads >= 20 })
	assert.Equal(t, last.Reads, last.FromSidecar)
	assert.False(t, last.Entry.There)
}

func TestReader_CountsInvalidTokens(t *testing.T) {
	b := newBench(t)
	invalid := b.fake.FetchExternally(appID)
	b.fake.FetchExternally(appID)
	b.fake.FetchExternally(appID) // the third token invalidates the first
	b.put(t, invalid)
	last := b.read(t, func(b books) bool { return b.Reads >= 5 })
	assert.Equal(t, last.Reads, last.Invalid)
	assert.Contains(t, last.LastError, memcache.Fingerprint(invalid))
	assert.Contains(t, last.LastError, "40001")
}

// A job reads so many times and ends. One that failed fails the job.
func TestReader_EndsAfterSoManyReads(t *testing.T) {
	b := newBench(t)
	r := &reader{
		cfg:     client.Config{AppID: appID, Servers: []string{b.server}, Sidecar: b.sidecar.URL},
		control: b.control.URL, every: time.Millisecond, patience: 5 * time.Second, times: 3, books: books{Name: "job"},
	}
	require.ErrorContains(t, r.run(t.Context(), io.Discard), "nothing to give")
	assert.Equal(t, 3, r.books.Failed)
	b.put(t, b.fake.FetchExternally(appID))
	r.books = books{Name: "job"}
	require.NoError(t, r.run(t.Context(), io.Discard))
	assert.Equal(t, 3, r.books.Reads)
}

func TestReader_CountsFailedReads(t *testing.T) {
	last := newBench(t).read(t, func(b books) bool { return b.Failed >= 5 })
	assert.Zero(t, last.Reads)
	assert.Contains(t, last.LastError, "nothing to give")
}

func TestReader_CountsUnjudgedTokens(t *testing.T) {
	b := newBench(t)
	token := b.fake.FetchExternally(appID)
	r := &reader{control: "http://" + b.server} // memcached speaks no HTTP
	r.api = &http.Client{Timeout: time.Second}
	_, judged := r.judge(token)
	assert.False(t, judged)
}

func TestReader_MeasuresGaps(t *testing.T) {
	var e entryBooks
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	e.saw(false, at(1))
	assert.Zero(t, e.Gaps, "what was never there is not lost")
	e.saw(true, at(2))
	e.saw(false, at(5))
	e.saw(false, at(6))
	e.saw(true, at(9))
	assert.Equal(t, entryBooks{There: true, Gaps: 1, LostAt: at(5), BackAt: at(9)}, e)
}

func TestControl_Routes(t *testing.T) {
	b := newBench(t)
	b.ask(t, "/expires_in", `{"seconds":60}`, nil)
	token := b.fake.FetchExternally(appID)
	assert.WithinDuration(t, time.Now().Add(time.Minute), b.fake.Issued()[0].Expires, 5*time.Second)
	var v verdict
	b.ask(t, "/accepts", `{"token":"`+token+`"}`, &v)
	assert.Zero(t, v.Errcode)
	b.ask(t, "/accepts", `{"token":"unknown"}`, &v)
	assert.Equal(t, 40001, v.Errcode)

	fetch := func(secret string) (errcode int) {
		recorder := httptest.NewRecorder()
		b.fake.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/cgi-bin/token?grant_type=client_credential&appid="+appID+"&secret="+secret, nil))
		var reply struct{ Errcode int }
		require.NoError(t, json.NewDecoder(recorder.Body).Decode(&reply))
		return reply.Errcode
	}
	b.ask(t, "/account", `{"appid":"`+appID+`","secret":"canarysecret-new"}`, nil)
	assert.Equal(t, 40125, fetch("canarysecret-of-the-bench"))
	assert.Zero(t, fetch("canarysecret-new"))
	b.ask(t, "/fail", `{"errcode":40164}`, nil)
	assert.Equal(t, 40164, fetch("canarysecret-new"))
	b.ask(t, "/fail", `{"errcode":0}`, nil)
	assert.Zero(t, fetch("canarysecret-new"))

	var c counts
	b.ask(t, "/counts", "", &c)
	assert.Equal(t, 4, c.Requests)
	assert.Zero(t, c.Stable)
	assert.Equal(t, 2, c.Refused)
	assert.Equal(t, 2, c.Issues)
	assert.Equal(t, 1, c.External)
	require.Len(t, c.Issued, 2)
	assert.Equal(t, appID, c.Issued[0].AppID)
}

func TestKill_NothingToKill(t *testing.T) {
	assert.ErrorContains(t, kill("no-such-process", nil), "shareProcessNamespace")
}
