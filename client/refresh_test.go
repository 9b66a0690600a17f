package client_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
)

// Refresh reports the token and returns the next one.
func TestRefresh_Report(t *testing.T) {
	f := setup(t)
	token, err := f.Refresh(t.Context(), t1)
	require.NoError(t, err)
	assert.Equal(t, t2, token)
	require.Equal(t, 1, f.sidecar.asked())
	r := f.sidecar.requests[0]
	assert.Equal(t, "POST /v1/wx1/access_token/refresh", r.Method+" "+r.URL.Path)
	assert.Equal(t, "1", r.Header.Get("X-Wxsidecar"))
	assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
	assert.Empty(t, r.Header.Get("Authorization"))
	assert.Equal(t, t1, f.sidecar.reports()[0])
}

// The token in memcached can be older than the rejected one: only the sidecar knows.
func TestRefresh_IgnoresMemcached(t *testing.T) {
	f := setup(t)
	f.sidecar.current["wx1/access_token"], f.sidecar.issued = t2, 2
	token, err := f.Refresh(t.Context(), t2)
	require.NoError(t, err)
	assert.Equal(t, t3, token)
	assert.Zero(t, f.gets())
}

// Callers who report the same token share one report.
func TestRefresh_SharedReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.sidecar.before = func(*http.Request) { time.Sleep(time.Second) }
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				token, err := f.Refresh(t.Context(), t1)
				if assert.NoError(t, err) {
					assert.Equal(t, t2, token)
				}
			})
		}
		wg.Wait()
		assert.Len(t, f.sidecar.reports(), 1)
	})
}

// Reports of different tokens or accounts are separate requests.
func TestRefresh_SeparateReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		f.sidecar.before = func(*http.Request) { time.Sleep(time.Second) }
		var wg sync.WaitGroup
		for _, rejected := range []string{t0, t1} {
			wg.Go(func() { _, _ = f.Refresh(t.Context(), rejected) })
			wg.Go(func() { _, _ = f.For("wxB").Refresh(t.Context(), rejected) })
		}
		wg.Wait()
		assert.Equal(t, 4, f.sidecar.asked())
	})
}

// Refresh of an empty token returns the current one and reports nothing.
func TestRefresh_Empty(t *testing.T) {
	f := setup(t)
	token, err := f.Refresh(t.Context(), "")
	require.NoError(t, err)
	assert.Equal(t, t1, token)
	assert.Empty(t, f.sidecar.reports())
	assert.Zero(t, f.gets())
}

// A ticket comes from its own key, else from its own route.
func TestTicket_Sources(t *testing.T) {
	for kind, name := range map[client.TicketKind]string{client.JSAPI: "jsapi_ticket", client.WXCard: "wx_card_ticket"} {
		f := setup(t, withLocal(30*time.Second))
		f.memcached.Put("wx1:"+name, t2, 0, 3600)
		ticket, err := f.Ticket(t.Context(), kind)
		require.NoError(t, err)
		assert.Equal(t, t2, ticket)
		require.Zero(t, f.sidecar.asked())

		f.memcached.Flush()
		f.sidecar.current["wx1/"+name] = t3
		for range 2 { // Local is for tokens alone
			ticket, err = f.Ticket(t.Context(), kind)
			require.NoError(t, err)
			assert.Equal(t, t3, ticket)
		}
		assert.Equal(t, 2, f.sidecar.asked())

		ticket, err = f.RefreshTicket(t.Context(), kind, t3)
		require.NoError(t, err)
		assert.NotEqual(t, t3, ticket)
		assert.Equal(t, "/v1/wx1/"+name+"/refresh", f.sidecar.requests[2].URL.Path)
	}
}

// The error for a ticket that is not configured names the variable.
func TestTicket_NotConfigured(t *testing.T) {
	f := setup(t)
	_, err := f.Ticket(t.Context(), client.JSAPI)
	var refusal *client.Error
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, 404, refusal.Code)
	assert.ErrorContains(t, err, "WECHAT_TICKETS")
}

// An unknown kind of ticket is an error, and sends no request.
func TestTicket_UnknownKind(t *testing.T) {
	f := setup(t)
	_, err := f.Ticket(t.Context(), "jsapi_ticket")
	require.ErrorContains(t, err, "client.JSAPI")
	_, err = f.RefreshTicket(t.Context(), "", t1)
	require.ErrorContains(t, err, "client.WXCard")
	assert.Zero(t, f.sidecar.asked())
}
