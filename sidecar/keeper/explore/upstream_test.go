package explore

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/upstream"
)

// Faults of an upstream.
const (
	lags        = "the answer lags"
	unavailable = "503"
)

// standalone is the upstream of two sidecars without the AppSecret: sidecars that have it,
// and that agree. An answer of one that lags is that before the last renewal.
type standalone struct {
	world       *world
	number      int64
	token, past string
	issued      time.Time // the token
}

// isAsk reports whether it is a question to the upstream.
func (o *op) isAsk() bool { return strings.HasPrefix(o.key, "/v1/") }

// renew has the upstream renew.
func (u *standalone) renew() {
	query := url.Values{"grant_type": {"client_credential"}, "appid": {appID}, "secret": {secret}}
	u.issued, u.past, u.number = time.Now(), u.token, u.number+2
	_, u.token = u.world.deliver(httptest.NewRequest(http.MethodGet, "/cgi-bin/token?"+query.Encode(), nil))
	u.world.note("", "the upstream renews: %s", u.world.names.of(u.token))
}

// answer carries out a question.
func (u *standalone) answer(r *http.Request, lagging bool) *httptest.ResponseRecorder {
	var report struct {
		Rejected string `json:"rejected"`
	}
	if r.Method == http.MethodPost {
		must(json.NewDecoder(r.Body).Decode(&report))
	}
	if report.Rejected == u.token {
		u.renew()
	}
	out, age := httptest.NewRecorder(), time.Since(u.issued)
	life := 7200*time.Second - age
	promise := min(life, max(0, 3300*time.Second-age)+275*time.Second)
	token, number := u.token, u.number
	if lagging && u.past != "" && report.Rejected == "" {
		token, number, life, promise = u.past, u.number-2, 300*time.Second-age, time.Second
	}
	_, _ = fmt.Fprintf(out, `{"access_token":%q,"expires_in":%d,"number":%d,"life":%d}`,
		token, max(1, int(promise.Seconds())), number, max(1, int(life.Seconds())))
	return out
}

// releaseAsk has a question arrive.
func (w *world) releaseAsk(o *op) {
	switch o.fails {
	case unavailable:
		o.answer = httptest.NewRecorder()
		o.answer.Header().Set("Retry-After", "5")
		o.answer.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(o.answer, `{"errcode":-1,"errmsg":"no valid token"}`)
	case unanswered:
		w.standalone.answer(o.request, false)
	default:
		o.answer = w.standalone.answer(o.request, o.fails == lags)
	}
	w.log(o, o.fails)
}

// askFaults returns what can fail at a question.
func (w *world) askFaults(o *op, add func(name string, do func())) {
	s := o.life.of
	fail := func(how string) func() { return func() { o.fails = how; w.release(o) } }
	add("the upstream's answer to "+s.name+" is lost", fail(unanswered))
	add("the upstream has no token for "+s.name, fail(unavailable))
	add("the upstream's answer to "+s.name+" lags", fail(lags))
	add(s.name+" has no route to the upstream", func() { s.unable, s.until = noRoute, time.Now().Add(time.Minute); w.release(o) })
	add(s.name+" is killed", func() { w.kill(s) })
}

// upstreamOf returns how a sidecar asks the upstream; nil if it asks WeChat.
func (w *world) upstreamOf(l *life) keeper.Upstream {
	if w.api != keeper.UpstreamAPI {
		return nil
	}
	client, err := upstream.New(upstream.Config{URLs: []string{"http://127.0.0.1"}, Transport: transport{l}})
	must(err)
	return client
}

// coldDownstream: the upstream has a token, memcached is empty, and all sidecars start at the
// same time.
func coldDownstream(w *world) {
	w.standalone.renew()
	w.startAll()
}

// renewedUpstream: all sidecars hold a token that the upstream then renews.
func renewedUpstream(w *world) {
	w.seedDownstream(3299 * time.Second)
	w.startAll()
	w.after(settled, w.standalone.renew)
}

// reportedDownstream: WeChat has invalidated the token that all hold, and an app reports it
// to each sidecar.
func reportedDownstream(w *world) {
	w.seedDownstream(20 * time.Minute)
	token := w.entry()
	w.startAll()
	w.after(settled, func() {
		w.names.token(w.wechat.FetchExternally(appID))
		w.names.token(w.wechat.FetchExternally(appID))
		w.judge.external()
		for _, s := range w.sidecars {
			w.report(s, token)
		}
	})
}

// seedDownstream has the upstream renew, and puts its token into memcached at this age.
func (w *world) seedDownstream(age time.Duration) {
	u := w.standalone
	u.renew()
	time.Sleep(age)
	store, err := memcache.New(memcache.Config{Dial: func(context.Context, string, string) (net.Conn, error) { return w.memcached.Inline() }})
	must(err)
	slot, err := store.Slot(appID, memcache.AccessToken)
	must(err)
	must(slot.PutRecord(memcache.Seen{}, &memcache.Record{
		V: memcache.RecordVersion, Token: u.token, Number: u.issued.UnixMilli(), Issued: u.issued.Unix(), Expires: u.issued.Unix() + 7200,
		API: string(w.api), By: "before", UpstreamNumber: u.number, Promised: 3575,
	}, 7200*time.Second-age))
	must(slot.PutEntry(memcache.Entry{}, u.token, time.Hour-age))
	must(store.Close())
}
