package wechattest

import (
	"io"
	"net/http"
	"slices"
	"time"
)

// ticketAPI reports whether an API brings a ticket.
func ticketAPI(api string) bool { return api == jsapiAPI || api == wxCardAPI }

// badType is WeChat's errcode for a parameter with a wrong value.
const badType = 40097

func (s *Server) serveTicket(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 64<<10)) // as in serveClassic
	q := r.URL.Query()
	call := credentialCall{token: q.Get("access_token"), api: q.Get("type")}
	switch {
	case r.Method != http.MethodGet:
		call.malformed = 43001
	case !ticketAPI(call.api):
		call.malformed = badType
	}
	s.mu.Lock()
	if owner, ok := s.tokens[call.token]; ok {
		call.AppID = owner.appID
	}
	s.mu.Unlock()
	s.serveCall(w, r, call)
}

// checkToken is what an API answers to a token at this moment. The lock is held.
func (s *Server) checkToken(value string) int {
	t, known := s.tokens[value]
	switch {
	case value == "":
		return 41001
	case !wellFormed(value):
		return 40014
	case !known:
		return 40001
	}
	return t.errcode(s.now())
}

// newTicket issues a ticket. The lock is held.
func (s *Server) newTicket(call credentialCall, now time.Time) result {
	t := s.make(call.AppID, "sM4AOVdWfPE4DxkX_", now)
	s.tickets[t.value] = t
	s.ticketsOut = append(s.ticketsOut, Issue{
		Seq: len(s.ticketsOut) + 1, AppID: call.AppID, API: call.api, Token: t.value, At: now, Dies: t.dies, New: true,
	})
	return result{value: t.value, seconds: int(t.dies.Sub(now) / time.Second), ticket: true}
}

// Tickets is the log of all tickets given out, whether their answers arrived or
// not.
func (s *Server) Tickets() []Issue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ticketsOut)
}

// AcceptsTicket says whether WeChat takes a ticket at this moment: 0, 40001
// (unknown or voided) or 42001 (expired).
func (s *Server) AcceptsTicket(ticket string) (errcode int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tickets[ticket]
	if !ok {
		return 40001
	}
	return t.errcode(s.now())
}

// VoidTickets ends all tickets of an account before their time.
func (s *Server) VoidTickets(appID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tickets {
		if t.appID == appID {
			t.endAt(s.now())
		}
	}
}
