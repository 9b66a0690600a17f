package wechattest

import (
	"io"
	"net/http"
	"slices"
	"time"
)

// ticketAPI reports whether an API returns a ticket.
func ticketAPI(api string) bool { return api == jsapiAPI || api == wxCardAPI }

// badType is WeChat's errcode for a bad value of a parameter.
const badType = 40097

func (s *Server) serveTicket(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 64<<10)) // as in serveClassic
	q := r.URL.Query()
	request := credentialRequest{token: q.Get("access_token"), api: q.Get("type")}
	switch {
	case r.Method != http.MethodGet:
		request.malformed = 43001
	case !ticketAPI(request.api):
		request.malformed = badType
	}
	s.mu.Lock()
	if owner, ok := s.tokens[request.token]; ok {
		request.AppID = owner.appID
	}
	s.mu.Unlock()
	s.serveCredential(w, r, request)
}

// checkToken returns what an API answers to a token now. The lock is held.
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
func (s *Server) newTicket(request credentialRequest, now time.Time) result {
	kind := requestKind{request.AppID, request.api}
	t := s.lastTickets[kind]
	isNew := t == nil || t.errcode(now) != 0
	if isNew {
		t = s.make(request.AppID, "sM4AOVdWfPE4DxkX_", now)
		s.tickets[t.value] = t
	}
	if s.lastTickets != nil {
		s.lastTickets[kind] = t
	}
	s.ticketsOut = append(s.ticketsOut, Issue{
		Seq: len(s.ticketsOut) + 1, AppID: request.AppID, API: request.api, Token: t.value, At: now, Expires: t.expires, New: isNew,
	})
	return result{value: t.value, seconds: int(t.expires.Sub(now) / time.Second), ticket: true}
}

// SetSameTicket has an account's requests return the same ticket with its remaining life
// until it expires, as some reports say of WeChat.
func (s *Server) SetSameTicket() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastTickets = map[requestKind]*token{}
}

// Tickets returns all issued tickets, whether their answers arrived or not.
func (s *Server) Tickets() []Issue {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ticketsOut)
}

// AcceptsTicket returns what WeChat answers to a ticket now: 0, 40001 (unknown, or
// ended by VoidTickets) or 42001 (expired).
func (s *Server) AcceptsTicket(ticket string) (errcode int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tickets[ticket]
	if !ok {
		return 40001
	}
	return t.errcode(s.now())
}

// VoidTickets ends all tickets of an account before they expire.
func (s *Server) VoidTickets(appID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tickets {
		if t.appID == appID {
			t.endAt(s.now())
		}
	}
}
