package check_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/names"
	"github.com/wxsidecar/wxsidecar/sidecar/check"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/verify"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// Each thing that a sidecar says about itself has its outcome. Control characters of others
// do not reach the terminal.
func TestRun_RunningSidecar(t *testing.T) {
	t.Parallel()
	do := hint.Hint{English: "do it"}
	one := status.Error{Code: 40125, Message: "invalid\x1b[2J", Hint: do}
	s := status.Sidecar{
		Name: "pod", Version: "v1", Memcached: status.Memcached{Servers: []string{"m:11211"}, Error: "refused", Hint: do},
		Mirrors: []status.Mirror{{Name: "file", Up: true}, {Name: "mysql", Error: "down", Hint: do}},
		Notes:   []hint.Note{{Code: "x", Text: hint.Hint{English: "a fact"}, Hint: do}},
		Credentials: []status.Credential{
			{AppID: "wxA", Kind: "access_token", State: status.OK, Valid: true},
			{AppID: "wxB", Kind: "access_token", State: status.Starting},
			{AppID: "wxC", Kind: "access_token", State: status.Failing, Valid: true, Error: &one},
		},
	}
	const name = "running sidecar"
	assert.Equal(t, []check.Result{
		{name, check.Failing, "pod, version v1, up 0 s: 2 of 3 credentials are valid; it is not ready", "see the lines below, and its /readyz"},
		{name, check.Unknown, "access_token of wxB: no renewal has ended yet", ""},
		{name, check.Failing, "access_token of wxC: errcode 40125: invalid�[2J", "do it"},
		{name, check.Failing, "memcached m:11211: refused", "do it"},
		{name, check.Failing, "mirror mysql: down", "do it"},
		{name, check.Unknown, "note: a fact", "do it"},
	}, check.Run(t.Context(), check.Config{Status: func(context.Context) (status.Sidecar, error) { return s, nil }}))

	all := check.Run(t.Context(), check.Config{Status: func(context.Context) (status.Sidecar, error) { return s, errors.New("no answer") }})
	require.Len(t, all, 1)
	assert.Equal(t, check.Unknown, all[0].Outcome)
}

// A clock that differs from WeChat's fails.
func TestRun_ClockDiffers(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(-5*time.Minute).UTC().Format(http.TimeFormat))
	}))
	t.Cleanup(server.Close)
	client, err := wechat.New(wechat.Config{BaseURLs: []string{server.URL}})
	require.NoError(t, err)
	all := check.Run(t.Context(), check.Config{WeChat: client})
	require.Len(t, all, 2)
	assert.Equal(t, check.OK, all[0].Outcome)
	assert.Equal(t, "clock", all[1].Check)
	assert.Equal(t, check.Failing, all[1].Outcome)
	assert.Contains(t, all[1].Found, "differ by 5 min")
}

// A memcached whose name has several addresses fails. The keys name a few AppIDs and count
// the others.
func TestRun_SeveralAddressesAndManyKeys(t *testing.T) {
	t.Parallel()
	fake, of := memcachetest.New(), names.New()
	t.Cleanup(func() { assert.NoError(t, fake.Close()) })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = fake.Serve(listener) }()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	of.Set("memcached.test", "127.0.0.1", "127.0.0.2")
	store, err := memcache.New(memcache.Config{
		Servers: []string{"memcached.test:" + port}, Timeout: 5 * time.Second, Dial: of.Dial, SeveralAddresses: func(string, []string) {},
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	var accounts []verify.Account
	for i := range 25 {
		accounts = append(accounts, verify.Account{AppID: "wx" + string(rune('a'+i)), Secret: func() (string, error) { return "canarysecret", nil }})
	}
	all := check.Run(t.Context(), check.Config{Store: store, Hash: "ketama", Accounts: accounts})
	assert.Equal(t, check.Failing, all[0].Outcome)
	assert.Contains(t, all[0].Found, "has 2 addresses: 127.0.0.1, 127.0.0.2")
	assert.Equal(t, "keys", all[3].Check)
	assert.Regexp(t, `^those of wxa, wxb, .*, wxt and 5 more are on memcached\.test:`, all[3].Found)
	assert.Len(t, all, 4+25)
	assert.Equal(t, check.Unknown, all[28].Outcome, "no WeChat")
}

// A memcached that never answers within the timeout of the sidecar fails, although it
// answers.
func TestRun_MemcachedIsLate(t *testing.T) {
	t.Parallel()
	fake := memcachetest.New()
	t.Cleanup(func() { assert.NoError(t, fake.Close()) })
	late := 0
	newStore := func(failures int) *memcache.Store {
		store, err := memcache.New(memcache.Config{
			Servers: []string{"memcached.test:11211"}, SeveralAddresses: func(string, []string) {},
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				if late++; late <= failures {
					return nil, context.DeadlineExceeded
				}
				return fake.Dial(ctx, network, address)
			},
		})
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, store.Close()) })
		return store
	}
	patient := newStore(0)
	for failures, outcome := range map[int]check.Outcome{2: check.OK, 3: check.Failing} {
		late = 0
		all := check.Run(t.Context(), check.Config{Store: patient, Strict: newStore(failures), Timeout: 200 * time.Millisecond})
		assert.Equal(t, outcome, all[0].Outcome, all[0].Found)
		assert.Equal(t, failures == 3, strings.Contains(all[0].Found, "not within MEMCACHED_TIMEOUT=200ms"))
	}
}
