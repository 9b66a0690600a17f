package wechattest

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// result is the result of a processed request.
type result struct {
	value   string
	seconds int // its remaining lifetime
	ticket  bool
	errcode int
}

// serveCredential processes and answers one request for a credential.
func (s *Server) serveCredential(w http.ResponseWriter, r *http.Request, request credentialRequest) {
	answer := s.arrive(request.AppID, request.api, request.Force)
	patience := r.Context()
	if answer.Late {
		patience = whileServing(patience)
	}
	if !wait(patience, answer.Delay) {
		return
	}
	if answer.Errcode != 0 {
		_ = wait(r.Context(), answer.DelayAfter)
		s.writeErrcode(w, answer.Errcode, answer.Errmsg)
		return
	}
	var got result
	if answer.Kind.processed() {
		got = s.process(request)
	}
	if wait(r.Context(), answer.DelayAfter) {
		s.answer(w, r, answer, got)
	}
}

// process is the moment at which WeChat acts on a request.
func (s *Server) process(request credentialRequest) result {
	s.mu.Lock()
	defer s.mu.Unlock()
	if code := s.check(request); code != 0 {
		return result{errcode: code}
	}
	acc, now := s.accounts[request.AppID], s.now()
	if ticketAPI(request.api) {
		return s.newTicket(request, now)
	}
	tok, isNew, code := s.fetch(acc, request.api, request.Force, now)
	if code != 0 {
		return result{errcode: code}
	}
	s.log(Issue{AppID: request.AppID, API: request.api, ForceRefresh: request.Force, New: isNew}, tok, now)
	return result{value: tok.value, seconds: int(tok.expires.Sub(now) / time.Second)}
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, answer Answer, got result) {
	switch kind := answer.Kind; kind {
	case Hang, IssuedHang:
		<-r.Context().Done()
	case Reset, IssuedNoAnswer:
		reset(w)
	case ServerError, IssuedServerError:
		http.Error(w, "<html><body>502 Bad Gateway</body></html>", http.StatusBadGateway)
	case HTML:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!DOCTYPE html><html><body>Please log in</body></html>")
	case Redirect:
		w.Header().Set("Location", "/cgi-bin/redirected")
		w.WriteHeader(http.StatusFound)
	case Huge:
		endless(w, r)
	case Raw:
		w.WriteHeader(max(answer.Status, http.StatusOK))
		_, _ = io.WriteString(w, answer.Body)
	case EmptyToken:
		writeJSON(w, map[string]any{"access_token": "", "ticket": "", "expires_in": 7200})
	case Normal, TruncatedJSON, NoExpires, ZeroExpires, ShortExpires:
		s.answerCredential(w, kind, got)
	}
}

func (s *Server) answerCredential(w http.ResponseWriter, kind Kind, got result) {
	if got.errcode != 0 {
		s.writeErrcode(w, got.errcode, "")
		return
	}
	fields := map[string]any{"access_token": got.value, "expires_in": got.seconds}
	if got.ticket {
		fields = map[string]any{"errcode": 0, "errmsg": "ok", "ticket": got.value, "expires_in": got.seconds}
	}
	switch kind { //nolint:exhaustive // only the kinds that change the fields
	case TruncatedJSON:
		_, _ = io.WriteString(w, `{"access_token":"`+got.value[:len(got.value)/2])
		return
	case NoExpires:
		delete(fields, "expires_in")
	case ZeroExpires:
		fields["expires_in"] = 0
	case ShortExpires:
		fields["expires_in"] = 9
	}
	writeJSON(w, fields)
}

// reset breaks the connection, with RST if it is TCP.
func reset(w http.ResponseWriter) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	under := conn
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
		under = wrapped.NetConn()
	}
	if tcp, ok := under.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
		_ = tcp.Close() // before TLS can send its close
	}
	_ = conn.Close()
}

// endless writes until the client disconnects.
func endless(w http.ResponseWriter, r *http.Request) {
	chunk := strings.Repeat("a", 16<<10)
	_, err := io.WriteString(w, `{"access_token":"`)
	for err == nil && r.Context().Err() == nil {
		_, err = io.WriteString(w, chunk)
	}
}

// wait returns false if ctx ended first.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
