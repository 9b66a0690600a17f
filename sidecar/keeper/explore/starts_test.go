package explore

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// starts are the situations from which schedules begin.
var starts = []start{
	{name: "due", api: wechat.Token, make: due},
	{name: "cold", api: wechat.Token, make: cold},
	{name: "reported", api: wechat.Token, make: reported},
	{name: "due, B's clock is 3 min ahead", api: wechat.Token, skew: 3 * time.Minute, make: due},
	{name: "due, B's clock is 3 min behind", api: wechat.Token, skew: -3 * time.Minute, make: due},
	{name: "due, stable_token", api: wechat.StableToken, make: due},
	{name: "reported again", api: wechat.Token, make: reportedAgain},
	{name: "valid token reported again", api: wechat.Token, make: validReportedAgain},
	{name: "upstream: cold", api: keeper.UpstreamAPI, make: coldDownstream},
	{name: "upstream: renewed", api: keeper.UpstreamAPI, make: renewedUpstream},
	{name: "upstream: reported", api: keeper.UpstreamAPI, make: reportedDownstream},
	{name: "three: due", api: wechat.Token, make: due, sidecars: 3},
	{name: "three: cold", api: wechat.Token, make: cold, sidecars: 3},
	{name: "three: reported", api: wechat.Token, make: reported, sidecars: 3},
}

// settled is when sidecars that start with a token no longer poll as they do at their start,
// see keeper.Group. In one start a report comes before.
const settled = 6 * time.Second

// cold: memcached is empty, and all sidecars start at the same time.
func cold(w *world) { w.startAll() }

// due: all sidecars hold a valid token that is due in some seconds.
func due(w *world) {
	w.seed(3295 * time.Second)
	w.startAll()
}

// reported: all sidecars hold a token that WeChat has invalidated, and an app reports it
// to each of them.
func reported(w *world) {
	w.seed(20 * time.Minute)
	token := w.entry()
	w.startAll()
	w.after(settled, func() {
		w.names.token(w.wechat.FetchExternally(appID))
		w.names.token(w.wechat.FetchExternally(appID)) // the second ends the grace of the first
		w.judge.external()
		for _, s := range w.sidecars {
			w.report(s, token)
		}
	})
}

// reportedAgain is reported, and another report came some minutes before: the sidecar that
// owns the report checks the token first.
func reportedAgain(w *world) {
	reported(w)
	w.after(settled-time.Millisecond, w.recentReport)
}

// validReportedAgain: an app reports a token that WeChat accepts to each sidecar, some
// minutes after another report.
func validReportedAgain(w *world) {
	w.seed(20 * time.Minute)
	token := w.entry()
	w.valid = true
	w.startAll()
	w.after(time.Second, func() {
		w.recentReport()
		for _, s := range w.sidecars {
			w.report(s, token)
		}
	})
}

// recentReport has memcached know of a report some minutes ago.
func (w *world) recentReport() {
	w.memcached.Put(recentKey, memcache.Fingerprint(w.entry())+" before", 0, 300)
	w.versions[recentKey]++
}

func (w *world) startAll() {
	for _, s := range w.sidecars {
		s.start()
	}
}

// seed has WeChat issue a token, and puts it into memcached at this age.
func (w *world) seed(age time.Duration) {
	query := url.Values{"grant_type": {"client_credential"}, "appid": {appID}, "secret": {secret}}
	r := httptest.NewRequest(http.MethodGet, "/cgi-bin/token?"+query.Encode(), nil)
	if w.api == wechat.StableToken {
		body := fmt.Sprintf(`{"grant_type":"client_credential","appid":%q,"secret":%q}`, appID, secret)
		r = httptest.NewRequest(http.MethodPost, "/cgi-bin/stable_token", strings.NewReader(body))
	}
	issued := time.Now()
	_, token := w.deliver(r)
	time.Sleep(age)
	store, err := memcache.New(memcache.Config{Dial: func(context.Context, string, string) (net.Conn, error) { return w.memcached.Inline() }})
	must(err)
	slot, err := store.Slot(appID, memcache.AccessToken)
	must(err)
	must(slot.PutRecord(memcache.Seen{}, &memcache.Record{
		V: memcache.RecordVersion, Token: token, Number: issued.UnixMilli(), Issued: issued.Unix(), Expires: issued.Unix() + 7200,
		API: string(w.api), By: "before",
	}, 7200*time.Second-age))
	must(slot.PutEntry(memcache.Entry{}, token, time.Hour-age))
	must(store.Close())
}
