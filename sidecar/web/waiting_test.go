package web_test

import (
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// perCaller is the bound of the memory of a waiting caller, both ends of its
// in-memory connection included.
const perCaller = 40 << 10

// 10,000 requests wait for one renewal, in bounded memory.
func TestAPI_TenThousandWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers = 10_000
		h := newTestSidecar(t, func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Delay: 5 * time.Second} })
		api := h.api(t, "")
		l := newPipes()
		serveOn(t, l, api)
		before := inUse()
		h.keep(t, appID)
		conns := make([]net.Conn, callers)
		request := ask{target: tokenPath}.bytes()
		for i := range conns {
			conns[i] = l.dial()
			_, err := conns[i].Write(request)
			require.NoError(t, err)
		}
		synctest.Wait()
		require.EqualValues(t, callers, web.UnderWay(api))
		each := int(inUse()-before) / callers
		t.Logf("%d bytes for each waiting caller", each)
		assert.Less(t, each, perCaller)

		seen := map[string]bool{}
		for _, conn := range conns {
			seen[token(t, readAnswer(t, conn, "GET"))] = true
			require.NoError(t, conn.Close())
		}
		assert.Len(t, seen, 1)
		assert.Equal(t, 1, h.wechat.Requests(appID, ""))
		synctest.Wait()
		assert.Zero(t, web.UnderWay(api))
	})
}

// inUse is the memory of heap and stacks.
func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// 10,000 reports of one token cause one renewal.
func TestAPI_TenThousandReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const callers = 10_000
		h := newTestSidecar(t, func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Delay: time.Second} }, appID)
		api := h.api(t, "")
		l := newPipes()
		serveOn(t, l, api)
		rejected := token(t, ask{target: tokenPath}.over(t, l.dial))
		request := ask{method: "POST", target: refreshPath, body: `{"rejected":"` + rejected + `"}`}.bytes()
		conns := make([]net.Conn, callers)
		for i := range conns {
			conns[i] = l.dial()
			_, err := conns[i].Write(request)
			require.NoError(t, err)
		}
		for _, conn := range conns {
			assert.NotEqual(t, rejected, token(t, readAnswer(t, conn, "POST")))
			require.NoError(t, conn.Close())
		}
		assert.Equal(t, 2, h.wechat.Issues(appID))
	})
}

// One request too many gets 503.
func TestAPI_TooManyRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Delay: time.Second} }, appID)
		api := h.api(t, "")
		web.SetMaxUnderWay(api, 2)
		l := newPipes()
		serveOn(t, l, api)
		first, second := l.dial(), l.dial()
		for _, conn := range []net.Conn{first, second} {
			_, err := conn.Write(ask{target: tokenPath}.bytes())
			require.NoError(t, err)
		}
		synctest.Wait()
		for range 3 {
			golden(t, "toomany", ask{target: tokenPath}.over(t, l.dial).String())
		}
		assert.Equal(t, 200, readAnswer(t, first, "GET").status)
		assert.Equal(t, 200, readAnswer(t, second, "GET").status)
		assert.Equal(t, 200, ask{target: tokenPath}.over(t, l.dial).status)
		require.NoError(t, first.Close())
		require.NoError(t, second.Close())
	})
}

// A request ends when its client leaves.
func TestAPI_ClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestSidecar(t, func(wechattest.Request) wechattest.Answer { return wechattest.Answer{Delay: 5 * time.Second} }, appID)
		api := h.compat(t, "")
		l := newPipes()
		serveOn(t, l, api)
		for _, one := range []ask{{target: tokenPath}, classic(appID)} {
			conn := l.dial()
			_, err := conn.Write(one.bytes())
			require.NoError(t, err)
			synctest.Wait()
			assert.EqualValues(t, 1, web.UnderWay(api))
			require.NoError(t, conn.Close())
			synctest.Wait()
			assert.Zero(t, web.UnderWay(api))
		}
	})
}
