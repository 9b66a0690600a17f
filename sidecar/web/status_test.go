package web_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// statusOf reads /status.json, and nothing that is not in status.Sidecar.
func statusOf(t *testing.T, text string) status.Sidecar {
	t.Helper()
	require.True(t, json.Valid([]byte(text)), text)
	var read status.Sidecar
	require.NoError(t, json.Unmarshal([]byte(text), &read))
	return read
}

// /status.json is the golden file, and the exported types hold all of it.
func TestStatus_Golden(t *testing.T) {
	healthy := probe(fixedOps(t, fixedStates(), noOutage), "GET", "/status.json")
	golden(t, "status", healthy.String()+"\n=== memcached is down, no account\n"+
		probe(fixedOps(t, nil, outage), "GET", "/status.json").String())
	read := statusOf(t, healthy.body)
	require.Len(t, read.Credentials, 5)
	again, err := json.Marshal(read)
	require.NoError(t, err)
	assert.JSONEq(t, healthy.body, string(again), "the exported types say all of it")
}

// The state is the credential's health.
func TestStatus_Health(t *testing.T) {
	failed := &keeper.Error{Code: -1, Message: "x"}
	for want, s := range map[status.Health]keeper.State{
		status.OK:          {Valid: true},
		status.Failing:     {Valid: true, Err: failed},
		status.Unavailable: {Err: failed},
		status.Starting:    {},
	} {
		s.AppID, s.Kind = "wx1", memcache.AccessToken
		read := statusOf(t, probe(fixedOps(t, []keeper.State{s}, noOutage), "GET", "/status.json").body)
		assert.Equal(t, want, read.Credentials[0].State)
		assert.Equal(t, s.Valid, read.Ready)
	}
	assert.Negative(t, status.Unavailable.Compare(status.Failing))
	assert.Negative(t, status.Failing.Compare(status.Starting))
	assert.Negative(t, status.Starting.Compare(status.OK))
	assert.Zero(t, status.Health("what a newer version calls it").Compare(status.Unavailable))
}

// The status has a credential's times, and the next attempt after a failure.
func TestStatus_Times(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, failByAppID, appID, "wxwhitelist")
		ops := h.ops()
		begin := time.Now().UTC()
		synctest.Wait()
		time.Sleep(5 * time.Second)
		read := statusOf(t, probe(ops, "GET", "/status.json").body)
		assert.False(t, read.Ready)
		assert.Equal(t, begin, read.Started)
		assert.Equal(t, begin.Add(5*time.Second), read.Now)
		require.Len(t, read.Credentials, 2)
		well, unavailable := read.Credentials[0], read.Credentials[1]
		assert.Equal(t, []time.Time{begin, begin.Add(2 * time.Hour)}, []time.Time{well.Issued, well.Expires})
		assert.Equal(t, []int{5, 7195}, []int{well.AgeSeconds, well.ExpiresInSeconds})
		assert.Equal(t, well.Due.Sub(read.Now), time.Duration(well.RenewalInSeconds)*time.Second)
		assert.Equal(t, status.Day{Requests: 1, Renewals: 1}, well.Today)
		require.NotNil(t, unavailable.Error)
		assert.Equal(t, begin, unavailable.Error.At)
		assert.Equal(t, 15, unavailable.Error.RetryInSeconds)
		assert.Contains(t, unavailable.Error.Hint.English, wechattest.EgressIP)
		assert.Equal(t, status.Day{Requests: 1, Failures: 1}, unavailable.Today)
	})
}

// The status has the end of another sidecar's cooldown.
func TestStatus_Cooldown(t *testing.T) {
	// Looked at every second, and no use before the other one's wait is over.
	waiting := fixedStates()[2]
	waiting.Err.RetryAfter, waiting.Retry = time.Minute, fixedNow.Add(-11*time.Second)
	read := statusOf(t, probe(fixedOps(t, []keeper.State{waiting}, noOutage), "GET", "/status.json").body)
	assert.Equal(t, 48, read.Credentials[0].Error.RetryInSeconds)
}

// A budget that another sidecar found spent has a hint.
func TestStatus_BudgetOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, nil)
		until := time.Now().Add(time.Minute).Unix()
		h.memcached.Put(appID+":lease", fmt.Sprintf(`{"cooldown":"budget","errcode":429,"errmsg":"too many","until":%d}`, until), 0, 60)
		h.keep(t, appID)
		synctest.Wait()
		credential := statusOf(t, probe(h.ops(), "GET", "/status.json").body).Credentials[0]
		require.NotNil(t, credential.Error)
		assert.Equal(t, status.Unavailable, credential.State)
		assert.Equal(t, hint.ExternalToken.English, credential.Error.Hint.English)
		assert.Equal(t, 60, credential.Error.RetryInSeconds)
	})
}

// Several failing servers are one outage, with their names, since the first.
func TestOneOutage_JoinsServers(t *testing.T) {
	t.Parallel()
	refused := errors.New("connection refused")
	one := keeper.Outage{Server: "b:11211", Since: fixedNow, Err: refused}
	two := keeper.Outage{Server: "c:11211", Since: fixedNow.Add(-time.Minute), Err: errors.New("i/o timeout")}
	assert.Zero(t, web.OneOutage(nil, true))
	require.EqualError(t, web.OneOutage([]keeper.Outage{one}, false).Err, "connection refused")
	both := web.OneOutage([]keeper.Outage{one, two}, true)
	assert.Equal(t, two.Since, both.Since)
	require.EqualError(t, both.Err, "b:11211: connection refused; c:11211: i/o timeout")
	two.Err = memcache.ErrUnauthenticated
	assert.Equal(t, hint.Memcached(two.Err), hint.Memcached(web.OneOutage([]keeper.Outage{one, two}, true).Err), "its cause is still known")
}
