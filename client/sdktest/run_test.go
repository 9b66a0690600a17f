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

// plan is how much a run takes on.
type plan struct {
	life  time.Duration // of a token, of 7200 s; here it is renewed at half of it
	grace time.Duration // how long a token works after the next one was issued, of 300 s
}

// run starts all programs at once, lets trouble happen, and stops them.
func run(t *testing.T, s *stage, trouble func()) []*program {
	t.Helper()
	all := programs()
	for _, p := range all {
		p.begin(t, s)
	}
	trouble()
	for _, p := range all {
		p.end(t)
	}
	return all
}

// awaitRenewals waits for so many more, and until the last is everywhere: what is
// hurt then is hurt while no call is open. Nobody can promise that one call suffices
// where a sidecar is killed before WeChat's answer is noted.
func (s *stage) awaitRenewals(t *testing.T, more int) {
	t.Helper()
	before := s.renewed()
	require.Eventually(t, func() bool { return s.renewed() >= before+more }, time.Duration(more)*s.life+patience, 10*time.Millisecond, "renewals")
	s.settle(t)
}

// settle waits until all that programs read holds the newest token, and the newest
// ticket.
func (s *stage) settle(t *testing.T) {
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
			s.memcached.entry(t, memcache.AccessToken) == token && s.mariadb.value("access_token") == token &&
			s.memcached.entry(t, memcache.JSAPITicket) == ticket && s.mariadb.value("jsapi_ticket") == ticket
	}, patience, 10*time.Millisecond, "the newest token and ticket in memcached, table and file")
}

// assertSpotless says that a program did neither of the two.
func (p *program) assertSpotless(t *testing.T) {
	t.Helper()
	assert.Zero(t, p.count.fetches, "%s called WeChat for a token", p)
	assert.Zero(t, p.count.dead, "%s used a dead token", p)
}
