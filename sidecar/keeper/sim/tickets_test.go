package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/client"
)

// simTicket is the key of the ticket's entry.
const simTicket = appID + ":jsapi_ticket"

func isTicket(api string) bool { return api == "jsapi" || api == "wx_card" }

// ticketBook is what the judge notes of tickets. The judge's mu guards it.
type ticketBook struct {
	calls                    []time.Time // made while memcached held
	voided                   time.Time   // when WeChat last ended them all before their time
	reports                  []time.Time
	reads, invalid, failures int
	same                     bool // WeChat returns the same one until its end
}

// readTicket is an app that signs a page.
func (w *world) readTicket(ctx context.Context, name string, p *pod) {
	holds := p.holdsTicket()
	ticket, err := p.client.Ticket(ctx, client.JSAPI)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		w.note("%s has no ticket", name)
		w.judge.noTicket(p, holds, err)
		w.clean(err)
	case w.judge.readTicket(p, ticket):
		w.note("%s has an invalid ticket", name)
		if ticket, err = p.client.RefreshTicket(ctx, client.JSAPI, ticket); err == nil {
			w.judge.readTicket(p, ticket)
		} else {
			w.clean(err)
		}
	}
}

// readTicket judges a ticket that a reader was given: it is never past its end,
// and no longer voided than a report takes to be heard.
func (j *judge) readTicket(p *pod, ticket string) (invalid bool) {
	code := j.world.wechat.AcceptsTicket(ticket)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tickets.reads++
	if code == 0 {
		return false
	}
	j.tickets.invalid++
	now := time.Now()
	defer func() { j.tickets.reports = append(j.tickets.reports, now) }()
	if code == 42001 || !j.healing(j.tickets.voided, now, reportBound, externalTrouble, j.tickets.reports) {
		j.broken("Never invalid", "%s gave a ticket that is refused with %d, %s after all were voided", p.name, code, now.Sub(j.tickets.voided))
	}
	return true
}

// noTicket judges a reader's error.
func (j *judge) noTicket(p *pod, holds bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tickets.failures++
	if holds && p.holdsTicket() && p.settled(20*time.Second) {
		j.broken("Never nothing", "%s holds a live ticket and its reader got an error: %v", p.name, err)
	}
}

// verdict asserts at the end what calls for tickets must keep. The caller holds mu.
func (b *ticketBook) verdict(j *judge) {
	for i, at := range b.calls {
		within := 0
		for _, later := range b.calls[i:] {
			if later.Sub(at) <= 10*time.Minute {
				within++
			}
		}
		// If it refuses to write, each sidecar asks WeChat by itself: directTicket judges those.
		if within > 11 && !j.troubled(at.Add(-11*time.Minute), at.Add(10*time.Minute), memcachedTrouble, verbTrouble) {
			j.broken("Bounded", "%d calls for a ticket in the ten minutes after %s", within, at.Sub(j.world.start))
			return
		}
		apart := 3290 * time.Second
		if b.same { // the last ones: at half of 300 to 600 s, and at the end of less
			apart = 145 * time.Second
			if b.atTheEnd(i, apart, len(j.world.pods)) {
				continue
			}
		}
		if i > 0 && at.Sub(b.calls[i-1]) < apart && !j.troubled(b.calls[i-1].Add(-11*time.Minute), at) {
			j.broken("One request", "calls for a ticket %s apart at %s, and nothing was amiss", at.Sub(b.calls[i-1]), at.Sub(j.world.start))
		}
	}
}

// atTheEnd reports whether a call is one more at the end of a ticket that WeChat returns until
// then: not more than 12 s after the first of these calls, and each sidecar at most once. An
// answer that takes seconds makes the end seem earlier; a sidecar that has just started knows
// no end; and a record of the last seconds is gone before all have read it.
func (b *ticketBook) atTheEnd(i int, apart time.Duration, sidecars int) bool {
	first := i
	for first > 0 && b.calls[first].Sub(b.calls[first-1]) < apart {
		first--
	}
	return i-first < sidecars && b.calls[i].Sub(b.calls[first]) <= 12*time.Second
}

// directTicket judges a call for a ticket without memcached: a sidecar makes one in 30 s, and
// at the end of a ticket that has less left. The caller holds mu.
func (j *judge) directTicket(p *pod, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if early := p.ticket.Sub(now); early > 0 && !p.stopped && !j.troubled(now.Add(-time.Minute), now, podTrouble) {
		j.broken("Bounded", "%s asks for a ticket without memcached %s too early", p.name, early)
	}
	p.ticket = now.Add(directApart)
}

// ticket carries a call for a ticket. By what memcached holds, its sidecar must
// have the lease. A token that WeChat refuses for it counts as reported.
func (t *gatedTransport) ticket(r *http.Request) (*http.Response, error) {
	w := t.pod.world
	lease, leased := w.memcached.Peek(simTicket + ":lease")
	w.judge.mu.Lock()
	now := time.Now()
	direct := !leased || strings.HasPrefix(lease.Value, "{")
	if direct && !w.judge.troubled(now.Add(-16*time.Second), now, memcachedTrouble, podTrouble, verbTrouble) {
		w.judge.broken("One request", "%s asks for a ticket without the lease", t.pod.name)
	}
	if direct {
		w.judge.directTicket(t.pod, now)
	}
	w.judge.mu.Unlock()
	if _, err := t.gate.pass(); err != nil {
		return nil, err
	}
	w.requested(t.pod, r.URL.Query().Get("type"))
	if resp, err := t.fail(r); resp != nil || err != nil {
		return resp, err
	}
	resp, err := w.wechatTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, bodyErr := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	_ = resp.Body.Close()
	if _, err := t.gate.pass(); err != nil {
		return nil, err
	}
	var answer struct {
		Errcode   int
		ExpiresIn int `json:"expires_in"`
	}
	readable := json.Unmarshal(body, &answer) == nil
	if readable && (answer.Errcode == 40001 || answer.Errcode == 42001) {
		w.judge.falselyReported(r.URL.Query().Get("access_token"))
	}
	if life := time.Duration(answer.ExpiresIn) * time.Second; readable && direct && 0 < life && life < directApart {
		t.pod.mu.Lock()
		t.pod.ticket = now.Add(life)
		t.pod.mu.Unlock()
	}
	resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), errReader{bodyErr}))
	return resp, nil
}

// holdsTicket reports whether the sidecar remembers a live ticket.
func (p *pod) holdsTicket() bool {
	p.mu.Lock()
	pr := p.process
	p.mu.Unlock()
	if pr == nil {
		return false
	}
	states := pr.group.States()
	return len(states) > 1 && states[1].Valid
}

// sameTickets has WeChat return the same ticket until its end.
func (w *world) sameTickets() {
	w.wechat.SetSameTicket()
	w.judge.mu.Lock()
	defer w.judge.mu.Unlock()
	w.judge.tickets.same = true
}

// voidedTickets are tickets that WeChat ends before their time.
func voidedTickets(ctx context.Context, w *world, until time.Time) {
	for time.Now().Before(until) && sleep(ctx, w.seconds(60, 900)) {
		end := w.judge.begin(externalTrouble)
		w.judge.mu.Lock()
		w.judge.tickets.voided = time.Now()
		w.judge.mu.Unlock()
		w.wechat.VoidTickets(appID)
		sleep(ctx, 5*time.Minute)
		end()
	}
}
