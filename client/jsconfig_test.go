package client_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/client/jssdk"
	"github.com/wxsidecar/wxsidecar/client/jssdk/jssdktest"
)

// JSConfig signs every page of the table with the ticket in memcached, and refuses the
// others before it reads anything.
func TestJSConfig_Table(t *testing.T) {
	f := setup(t)
	table := jssdktest.Read(t, "testdata/signatures.json")
	f.memcached.Put("wx1:jsapi_ticket", table.Ticket, 0, 3600)
	for _, p := range table.Pages {
		gets := f.gets()
		got, err := f.JSConfig(t.Context(), p.URL)
		if p.Refused {
			require.ErrorIs(t, err, jssdk.ErrPage, p.Name)
			assert.Equal(t, gets, f.gets(), p.Name)
			continue
		}
		require.NoError(t, err, p.Name)
		assert.Equal(t, "wx1", got.AppID)
		assert.Equal(t, p.Signed, got.URL, p.Name)
		assert.Equal(t, jssdk.Signature(table.Ticket, got.NonceStr, got.Timestamp, p.Signed), got.Signature, p.Name)
	}
	assert.Zero(t, f.sidecar.asked())
}

// Without a ticket, JSConfig fails as Ticket does.
func TestJSConfig_NoTicket(t *testing.T) {
	f := setup(t)
	_, err := f.JSConfig(t.Context(), "https://example.com/")
	var refusal *client.Error
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, 404, refusal.Code)
	_, err = f.For("wx 1").JSConfig(t.Context(), "https://example.com/")
	assert.ErrorContains(t, err, "AppID")
}
