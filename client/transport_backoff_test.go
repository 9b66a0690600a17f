package client_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
)

// refusing is a WeChat that refuses every token on paths that begin with /bad, and
// accepts only the sidecar's elsewhere.
type refusing struct {
	*fixture
	hc *http.Client
}

func newRefusing(t *testing.T, change ...func(*client.Config)) *refusing {
	t.Helper()
	f := setup(t, change...)
	r := &refusing{fixture: f}
	f.sidecar.renew = func() string {
		token := fmt.Sprintf("canarytoken-%04d", f.sidecar.issued)
		f.memcached.Put("wx1", token, 0, 3600)
		return token
	}
	r.hc, _ = f.browse(t, map[string]http.HandlerFunc{"api.weixin.qq.com": func(w http.ResponseWriter, req *http.Request) {
		f.sidecar.mu.Lock()
		good := f.sidecar.current["wx1/access_token"]
		f.sidecar.mu.Unlock()
		if strings.HasPrefix(req.URL.Path, "/bad") {
			good = "none"
		}
		wechat(good, "40001")(w, req)
	}})
	return r
}

// invalidate replaces the token as an external fetch does that the fleet has not noticed.
func (r *refusing) invalidate(t *testing.T) {
	t.Helper()
	r.sidecar.mu.Lock()
	defer r.sidecar.mu.Unlock()
	r.sidecar.issued++
	r.sidecar.current["wx1/access_token"] = fmt.Sprintf("canarytoken-%04d", r.sidecar.issued)
}

// call reports whether WeChat accepted the request.
func (r *refusing) call(t *testing.T, method, path string, change ...func(*http.Request)) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, api+path, nil)
	require.NoError(t, err)
	for _, c := range change {
		c(req)
	}
	resp, err := r.hc.Do(req)
	return strings.Contains(read(t, resp, err), `"errcode":0`)
}

// reportsWithin calls a path once a second, beside a path that works, and returns the
// seconds at which it was reported.
func (r *refusing) reportsWithin(t *testing.T, d time.Duration, change ...func(*http.Request)) (at []int) {
	t.Helper()
	begin := time.Now()
	for time.Since(begin) < d {
		before := r.sidecar.asked()
		assert.False(t, r.call(t, http.MethodPost, "/bad", change...))
		if r.sidecar.asked() > before {
			at = append(at, int(time.Since(begin).Seconds()))
		}
		assert.True(t, r.call(t, http.MethodGet, "/good"))
		time.Sleep(time.Second)
	}
	return at
}

// once gives a request a body that cannot be repeated.
func once(req *http.Request) {
	req.Body = io.NopCloser(strings.NewReader("x"))
	req.GetBody = func() (io.ReadCloser, error) { return nil, errDown }
}

// A request that WeChat refuses with any token is reported less and less often, and
// never stops: after each renewal that did not help 31 s, 1, 2, 4, 8, then 10 min later.
func TestBackoff_Times(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*http.Request)
		answer string // the sidecar's, unless it renews
		want   []int
	}{
		"renewed": {func(*http.Request) {}, "", []int{0, 31, 91, 211, 451, 931, 1531, 2131}},
		// Whether a renewal helped shows only at the next request.
		"cannot be repeated": {once, "", []int{0, 32, 92, 212, 452, 932, 1532, 2132}},
		"too early":          {func(*http.Request) {}, `{"errcode":429,"errmsg":"WeChat accepts it"}`, []int{0, 31, 91, 211, 451, 931, 1531, 2131}},
		"the same token":     {func(*http.Request) {}, `{"access_token":"` + t1 + `","expires_in":300}`, []int{0, 31, 91, 211, 451, 931, 1531, 2131}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRefusing(t)
				if c.answer != "" {
					r.sidecar.answering(map[bool]int{true: 429, false: 200}[strings.Contains(c.answer, "429")], "Retry-After", "31", c.answer)
				}
				assert.Equal(t, c.want, r.reportsWithin(t, 2200*time.Second, c.change))
			})
		})
	}
}

// A method and a path back off for themselves, and a success ends that.
func TestBackoff_Pairs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRefusing(t)
		reports := func(method, path string) int {
			before := r.sidecar.asked()
			r.call(t, method, path)
			return r.sidecar.asked() - before
		}
		require.Equal(t, 1, reports("GET", "/bad"))
		require.Zero(t, reports("GET", "/bad?x=y"))
		assert.Equal(t, 1, reports("POST", "/bad"))
		assert.Equal(t, 1, reports("GET", "/bad/2"))
		require.Zero(t, reports("GET", "/bad"))

		other := r.For("wxB")
		r.sidecar.current["wxB/access_token"] = t1
		hc := other.HTTPClient(&http.Client{Transport: r.hc.Transport})
		r.sidecar.mu.Lock()
		r.sidecar.requests = nil
		r.sidecar.mu.Unlock()
		resp, err := hc.Get(api + "/bad")
		require.NotEmpty(t, read(t, resp, err))
		assert.Positive(t, r.sidecar.asked(), "another account")
	})
}

// Requests that share a report count once.
func TestBackoff_SharedReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRefusing(t)
		r.sidecar.before = func(*http.Request) { time.Sleep(time.Second / 2) } // readers wait for a report for 1 s
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { assert.False(t, r.call(t, http.MethodGet, "/bad")) })
		}
		wg.Wait()
		require.Len(t, r.sidecar.reports(), 1)
		time.Sleep(31 * time.Second)
		require.False(t, r.call(t, http.MethodGet, "/bad"))
		assert.Len(t, r.sidecar.reports(), 2)
	})
}

// A success ends the backoff: the next refusal is reported at once.
func TestBackoff_Success(t *testing.T) {
	f := setup(t)
	answer := `{"errcode":40001}`
	hc, n := f.browse(t, map[string]http.HandlerFunc{"api.weixin.qq.com": func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, answer)
	}})
	for i, c := range []struct {
		answer  string
		reports int
	}{
		{`{"errcode":40001}`, 1},
		{`{"errcode":40001}`, 1},
		{`{"errcode":-1}`, 1},
		{`{"errcode":40001}`, 1},
		{`{"errcode":0}`, 1},
		{`{"errcode":40001}`, 2},
		{`picture`, 2},
		{`{"errcode":40001}`, 3},
		{`{"errcode":42001}`, 3},
	} {
		answer = c.answer
		f.memcached.Put("wx1", f.sidecar.current["wx1/access_token"], 0, 3600)
		resp, err := hc.Get(api + "/x")
		require.NotEmpty(t, read(t, resp, err))
		assert.Len(t, f.sidecar.reports(), c.reports, "request %d", i)
	}
	assert.Len(t, n.log(), 9+3)
}

// External fetches are reported at once, however many requests see them.
func TestBackoff_ExternalFetch(t *testing.T) {
	r := newRefusing(t)
	for range 20 {
		r.invalidate(t)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { assert.True(t, r.call(t, http.MethodGet, "/good")) })
		}
		wg.Wait()
		r.memcached.Put("wx1", r.sidecar.current["wx1/access_token"], 0, 3600)
	}
}

// A token that memcached held before the first refusal proves nothing: it is reported at
// once too.
func TestBackoff_NewerToken(t *testing.T) {
	r := newRefusing(t, withLocal(30*time.Second))
	require.Equal(t, t1, r.token(t))
	r.memcached.Put("wx1", t2, 0, 3600) // renewed since
	r.sidecar.current["wx1/access_token"], r.sidecar.issued = t2, 2
	good := false
	hc, _ := r.browse(t, map[string]http.HandlerFunc{"api.weixin.qq.com": func(w http.ResponseWriter, req *http.Request) {
		good = req.URL.Query().Get("access_token") == t3 // t2 is invalid as well
		wechat(t3, "40001")(w, req)
	}})
	for range 2 {
		resp, err := hc.Get(api + "/x")
		require.NotEmpty(t, read(t, resp, err))
	}
	assert.True(t, good)
}

// A report that no sidecar answers does not count.
func TestBackoff_NoSidecar(t *testing.T) {
	r := newRefusing(t)
	r.invalidate(t)
	r.sidecar.down = errDown
	for range 3 {
		require.False(t, r.call(t, http.MethodGet, "/good"))
	}
	r.sidecar.down = nil
	assert.True(t, r.call(t, http.MethodGet, "/good"))
}

// 256 pairs are remembered, and the oldest is forgotten.
func TestBackoff_Limit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRefusing(t)
		for i := range 257 {
			require.False(t, r.call(t, http.MethodGet, fmt.Sprintf("/bad/%d", i)))
			time.Sleep(time.Millisecond)
		}
		require.Len(t, r.sidecar.reports(), 257)
		for i := 256; i > 0; i-- {
			require.False(t, r.call(t, http.MethodGet, fmt.Sprintf("/bad/%d", i)))
		}
		require.Len(t, r.sidecar.reports(), 257)
		require.False(t, r.call(t, http.MethodGet, "/bad/0"))
		assert.Len(t, r.sidecar.reports(), 258)
	})
}

// A refusal of long ago says nothing about this one: the path is not at fault, although no
// success came in between.
func TestBackoff_LongAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRefusing(t)
		for range 2 {
			before := r.sidecar.asked()
			assert.False(t, r.call(t, http.MethodPost, "/bad", once))
			assert.Equal(t, before+1, r.sidecar.asked())
			time.Sleep(20 * time.Minute)
		}
	})
}
