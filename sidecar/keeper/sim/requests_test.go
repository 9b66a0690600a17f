package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"syscall"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// request is a request to WeChat, as the sidecar that makes it sees it.
type request struct {
	at   time.Time
	pod  *pod
	api  string // token or stable_token; for a ticket jsapi
	sent bool   // false: the dial failed
}

// wechatFault is how the requests of one pod fail. Other pods reach WeChat.
type wechatFault int

const (
	offWhitelist wechatFault = iota // WeChat answers 40164
	noRoute                         // the dial fails at once
	dialTimesOut                    // the dial fails when the time for the request is over
)

// failWeChat makes the pod's requests to WeChat fail; reachWeChat ends that.
func (p *pod) failWeChat(how wechatFault) { p.fault.Store(&how) }

func (p *pod) reachWeChat() { p.fault.Store(nil) }

// fail is the answer or the error of a pod that cannot reach WeChat. Both are
// nil if it can.
func (t *gatedTransport) fail(r *http.Request) (*http.Response, error) {
	fault := t.pod.fault.Load()
	if fault == nil {
		return nil, nil //nolint:nilnil // neither an answer nor an error
	}
	if *fault != offWhitelist {
		return nil, dialFails(r.Context(), *fault)
	}
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil {
		trace.GetConn(r.URL.Host)
		trace.GotConn(httptrace.GotConnInfo{})
	}
	sleep(r.Context(), 80*time.Millisecond)
	t.pod.world.judge.refusedFor(apiOf(r))
	const code = 40164
	body, err := json.Marshal(map[string]any{"errcode": code, "errmsg": wechattest.Errmsg(code, time.Now())})
	return &http.Response{
		StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(body))),
	}, err
}

// apiOf is the API that a request asks.
func apiOf(r *http.Request) string {
	if api := r.URL.Query().Get("type"); isTicket(api) {
		return api
	}
	return strings.TrimPrefix(r.URL.Path, "/cgi-bin/")
}

// dialFails fails as a dial does. As http.Transport does, it notifies the trace that
// a connection was looked for, and never that there was one.
func dialFails(ctx context.Context, how wechatFault) error {
	if trace := httptrace.ContextClientTrace(ctx); trace != nil {
		trace.GetConn("127.0.0.1:80")
	}
	if how == dialTimesOut {
		<-ctx.Done()
		return ctx.Err()
	}
	return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.EHOSTUNREACH}
}

// requested notes a request that begins.
func (w *world) requested(p *pod, api string) {
	fault := p.fault.Load()
	w.mu.Lock()
	defer w.mu.Unlock()
	sent := fault == nil || *fault == offWhitelist
	w.requests = append(w.requests, request{time.Now(), p, api, sent})
	w.events = append(w.events, event{time.Since(w.start), fmt.Sprintf("%s requests %s, sent: %t", p.name, api, sent)})
}

// requestsSince are the requests that were sent from then on.
func (w *world) requestsSince(from time.Time) []request {
	w.mu.Lock()
	defer w.mu.Unlock()
	var since []request
	for _, r := range w.requests {
		if r.sent && !r.at.Before(from) {
			since = append(since, r)
		}
	}
	return since
}

// loseAnswer loses the answer to the next request of a sidecar of which that is true.
func (w *world) loseAnswer(of func(*pod) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.losing = of
}

// loses reports whether this answer is lost, on its way to the pod.
func (w *world) loses(p *pod) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.losing == nil || !w.losing(p) {
		return false
	}
	w.losing = nil
	return true
}
