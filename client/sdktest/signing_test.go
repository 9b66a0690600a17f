package sdktest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// signing is a world whose sidecar keeps the ticket that pages are signed with.
type signing struct {
	*world
	door *door // of the SDK under test
}

func newSigning(t *testing.T) signing {
	t.Helper()
	w := signing{world: newWorld(t, "WECHAT_TICKETS=jsapi")}
	w.start(t)
	w.door = newDoor(t, w.wechat)
	return w
}

// newest is the ticket that WeChat gave out last.
func (w signing) newest(t *testing.T) string {
	t.Helper()
	tickets := w.wechat.Tickets()
	require.NotEmpty(t, tickets)
	return tickets[len(tickets)-1].Token
}

// void ends the newest ticket before its time, and returns it.
func (w signing) void(t *testing.T) string {
	t.Helper()
	ticket := w.newest(t)
	w.wechat.VoidTickets(appID)
	return ticket
}

// assertLeftToTheSidecar says that the SDK called WeChat for nothing, and that the
// sidecar did for two tickets: the first and the one after the report.
func (w signing) assertLeftToTheSidecar(t *testing.T) {
	t.Helper()
	assert.Equal(t, count{}, w.door.so(), "what the SDK asked WeChat for")
	assert.Equal(t, 2, len(w.wechat.Tickets())) //nolint:testifylint // Len would print them
	assert.Equal(t, count{fetches: 1 + 2}, w.road.so(), "one token, two tickets, all fetched by the sidecar")
}
