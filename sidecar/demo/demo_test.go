package demo

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// A request without a reason is counted, and the summary says what did not hold.
func TestSummary_CountsNeedlessRequests(t *testing.T) {
	t.Parallel()
	var out programtest.Output
	d := &demo{narrator: newNarrator(&out, nil), appID: programtest.AppID, wechat: wechattest.New()}
	now := time.Now()
	d.wechat.SetNow(func() time.Time { return now })
	d.wechat.AddAccount(programtest.AppID, programtest.AppSecret)
	fetch := func(after time.Duration) {
		now = now.Add(after)
		d.wechat.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET",
			"/cgi-bin/token?grant_type=client_credential&appid="+programtest.AppID+"&secret="+programtest.AppSecret, nil))
	}
	fetch(0)
	fetch(tokenLife / 2)
	d.wechat.FetchExternally(programtest.AppID)
	d.causes = []time.Time{now}
	fetch(time.Second) // for the external fetch
	ahead, extra := d.renewals()
	assert.Equal(t, []int{1, 0}, []int{ahead, extra})
	fetch(time.Second) // without a reason
	ahead, extra = d.renewals()
	assert.Equal(t, []int{1, 1}, []int{ahead, extra})

	d.apps = []*app{{counts: counts{reads: 3, invalid: 1}}, {counts: counts{reads: 3, failed: 1}}}
	d.summary()
	assert.Equal(t, []string{"no app reads an invalid token", "no app is without a token", "two sidecars make one request per renewal"}, d.broken)
	assert.Contains(t, out.String(), "DID NOT HOLD: no app reads an invalid token")
}
