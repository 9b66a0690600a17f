package sdktest

import (
	"testing"

	"github.com/chanxuehong/wechat/mp/core"
	"github.com/chanxuehong/wechat/mp/user"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
)

// newChanxuehong is the SDK with the README's line. Its HTTP client, nil there,
// leads to the door.
func newChanxuehong(c *client.Client, d *door) *core.Client {
	return core.NewClient(c.AccessTokenServer(), d.client())
}

// TestChanxuehongHealsByItself: the SDK reports a token that was refused with
// 40001 or 42001 through RefreshToken, and repeats the call once.
func TestChanxuehongHealsByItself(t *testing.T) {
	t.Parallel()
	w := newTheft(t)
	sdk := newChanxuehong(w.client(t), w.door)
	info, err := user.Get(sdk, openID, "")
	require.NoError(t, err)
	assert.Equal(t, openID, info.OpenId)

	w.steal(t)
	info, err = user.Get(sdk, openID, "")
	require.NoError(t, err)
	assert.Equal(t, openID, info.OpenId)
	w.assertHealed(t, count{uses: 2, dead: 1})
}
