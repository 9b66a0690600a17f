package sdktest

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// plan has the times of a run.
type plan struct {
	life  time.Duration // of a token, instead of 7200 s; the sidecar renews it at half of it
	grace time.Duration // for which a token stays valid after the next one, instead of 300 s
}

// run starts all programs, calls during, and stops them.
func run(t *testing.T, s *stage, during func()) []*program {
	t.Helper()
	all := programs()
	for _, p := range all {
		p.begin(t, s)
	}
	during()
	for _, p := range all {
		p.end(t)
	}
	return all
}

// awaitRenewals waits for more renewals, and until all stores have the last one. A fault
// after it hits no open request: if a sidecar is killed before it has written WeChat's
// answer, one more request is necessary.
func (s *stage) awaitRenewals(t *testing.T, more int) {
	t.Helper()
	before := s.renewed()
	require.Eventually(t, func() bool { return s.renewed() >= before+more }, time.Duration(more)*s.life+patience, 10*time.Millisecond, "renewals")
	s.awaitStores(t)
}

// awaitStores waits until all stores have the newest token and the newest ticket.
func (s *stage) awaitStores(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		tokens, tickets := s.wechat.Issued(), s.wechat.Tickets()
		if len(tickets) == 0 {
			return false
		}
		token, ticket := tokens[len(tokens)-1].Token, tickets[len(tickets)-1].Token
		var file struct {
			Token string `json:"access_token"`
		}
		text, err := os.ReadFile(s.file)
		return err == nil && json.Unmarshal(text, &file) == nil && file.Token == token &&
			s.entry(t, memcache.AccessToken) == token && s.mariadb.value("access_token") == token &&
			s.entry(t, memcache.JSAPITicket) == ticket && s.mariadb.value("jsapi_ticket") == ticket
	}, patience, 10*time.Millisecond, "the newest token and ticket in memcached, table and file")
}

// assertFaultless asserts that a program requested no token from WeChat, and that WeChat
// refused none.
func (p *program) assertFaultless(t *testing.T) {
	t.Helper()
	assert.Zero(t, p.count.fetches, "%s requested a token from WeChat", p)
	assert.Zero(t, p.count.invalid, "%s used an invalid token", p)
}
