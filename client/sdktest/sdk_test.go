package sdktest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
)

// externalFetch is a world in which another program will fetch a token. The token in
// memcached is then invalid, and no sidecar knows.
type externalFetch struct {
	*world
	endpoint *endpoint // of the SDK under test
}

func newExternalFetch(t *testing.T) externalFetch {
	t.Helper()
	w := externalFetch{world: newWorld(t)}
	w.wechat.SetGrace(0) // instead of 300 s: the fetch invalidates the token at once
	w.start(t)
	w.endpoint = newEndpoint(t, w.wechat)
	return w
}

// fetch fetches a token after one request of the SDK.
func (w externalFetch) fetch(t *testing.T) {
	t.Helper()
	require.Equal(t, count{uses: 1}, w.endpoint.counts(), "with a valid token")
	require.NotEmpty(t, w.wechat.FetchExternally(appID))
}

// assertOneRenewal asserts what the SDK did after the fetch, and that the sidecar
// renewed the token once.
func (w externalFetch) assertOneRenewal(t *testing.T, want count) {
	t.Helper()
	assert.Equal(t, want, w.endpoint.counts().minus(count{uses: 1}))
	assert.Equal(t, 2, w.wechat.Issues(appID), "the first token and the one after the report")
	assert.Equal(t, 2, w.sidecarEndpoint.counts().fetches, "both fetched by the sidecar")
}

// These report a token that WeChat refused with 40001 or 42001, and repeat the request
// once. silenceper/wechat does so only through Client.HTTPClient.
func TestSDK_InvalidToken(t *testing.T) { // not parallel: see newSilenceper
	for name, connect := range map[string]func(*client.Client, *endpoint) func() error{
		"chanxuehong":                   chanxuehong,
		"PowerWeChat":                   powerwechat,
		"HTTPClient":                    throughHTTPClient,
		"silenceper through HTTPClient": silenceperThroughHTTPClient,
	} {
		t.Run(name, func(t *testing.T) {
			w := newExternalFetch(t)
			request := connect(w.client(t), w.endpoint)
			require.NoError(t, request())
			w.fetch(t)
			require.NoError(t, request())
			w.assertOneRenewal(t, count{uses: 2, invalid: 1})
		})
	}
}

// Every process signs pages with the sidecar's newest ticket, before and after an app
// has reported one that WeChat refused.
func TestSDK_Signature(t *testing.T) { // not parallel: see newSilenceper
	for name, sdk := range map[string]struct {
		sign   func(t *testing.T, c *client.Client, e *endpoint, newest func() string) (got, want string)
		report func(c *client.Client, ticket string) (string, error)
	}{
		"chanxuehong": {chanxuehongSignature, func(c *client.Client, ticket string) (string, error) {
			return c.TicketServer(client.JSAPI).RefreshTicket(ticket)
		}},
		"silenceper": {silenceperSignature, func(c *client.Client, ticket string) (string, error) {
			return c.RefreshTicket(t.Context(), client.JSAPI, ticket)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "WECHAT_TICKETS=jsapi")
			w.start(t)
			e := newEndpoint(t, w.wechat)
			processes := []*client.Client{w.client(t), w.client(t)}
			newest := func() string {
				tickets := w.wechat.Tickets()
				require.NotEmpty(t, tickets)
				return tickets[len(tickets)-1].Token
			}
			sign := func() {
				for _, c := range processes {
					got, want := sdk.sign(t, c, e, newest)
					assert.Equal(t, want, got, "signed with the newest ticket")
				}
			}
			sign()
			rejected := newest()
			w.wechat.VoidTickets(appID)
			_, err := sdk.report(processes[0], rejected)
			require.NoError(t, err)
			sign()
			assert.Equal(t, count{}, e.counts(), "the SDK sent no request")
			assert.Equal(t, 2, len(w.wechat.Tickets())) //nolint:testifylint // Len would print them
			assert.Equal(t, count{fetches: 1 + 2}, w.sidecarEndpoint.counts(), "one token, two tickets, all fetched by the sidecar")
		})
	}
}
