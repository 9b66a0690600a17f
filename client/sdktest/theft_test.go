package sdktest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// theft is a world in which a stranger will fetch a token. Then what memcached
// holds is dead, and no sidecar knows.
type theft struct {
	*world
	door *door // of the SDK under test
}

func newTheft(t *testing.T) theft {
	t.Helper()
	w := theft{world: newWorld(t)}
	w.wechat.SetGrace(0) // instead of 300 s: the stranger's fetch kills at once
	w.start(t)
	w.door = newDoor(t, w.wechat)
	return w
}

// steal comes after one call of the SDK.
func (w theft) steal(t *testing.T) {
	t.Helper()
	require.Equal(t, count{uses: 1}, w.door.so(), "with a live token")
	require.NotEmpty(t, w.wechat.FetchExternally(appID))
}

// assertHealed says what the SDK did at its door after the theft, and that one
// renewal by the sidecar was all that it took.
func (w theft) assertHealed(t *testing.T, want count) {
	t.Helper()
	assert.Equal(t, want, w.door.so().minus(count{uses: 1}))
	assert.Equal(t, 2, w.wechat.Issues(appID), "the first token and the one after the report")
	assert.Equal(t, 2, w.road.so().fetches, "both fetched by the sidecar")
}
