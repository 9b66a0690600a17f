package systemtest

import (
	"encoding/json"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache/ring"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// read lets the Go client read every account until the test ends.
func (p *pool) read(t *testing.T, hash ring.Hash) {
	t.Helper()
	for account := range p.accounts {
		p.reads[account] = &seen{}
	}
	config := client.Config{
		AppID: programtest.AppID, Servers: p.names, Memcached: client.Memcached{Hash: hash, Timeout: 2 * time.Second}, Sidecar: "unix://" + p.Socket,
		Observe: func(o client.Observation) { p.reads[o.AppID].from(o.Source) },
	}
	reader, err := client.New(config)
	require.NoError(t, err)
	end := make(chan struct{})
	var readers sync.WaitGroup
	for account, reads := range p.reads {
		readers.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for one := reader.For(account); ; {
				token, err := one.AccessToken(t.Context())
				select {
				case <-end:
					return
				case <-tick.C:
					reads.judge(err, err == nil && p.WeChat.Accepts(token) == 0)
				}
			}
		})
	}
	t.Cleanup(func() {
		close(end)
		readers.Wait()
		assert.NoError(t, reader.Close())
	})
}

// phpReads lets PHP read every account: its extension finds each entry where the sidecars have written it, except on the
// memcached that fails, and the Composer package returns each token.
func (p *pool) phpReads(t *testing.T, when string, failing int) {
	t.Helper()
	_, err := io.WriteString(p.php, "read\n")
	require.NoError(t, err)
	require.True(t, p.phpOut.Scan(), "PHP ended")
	var read map[string]struct{ Entry, Token, Error string }
	require.NoError(t, json.Unmarshal(p.phpOut.Bytes(), &read))
	for _, issue := range p.WeChat.Issued() {
		at, known := p.accounts[issue.AppID]
		require.True(t, known, issue.AppID)
		want, got := sha256Of(issue.Token), read[issue.AppID]
		assert.Equal(t, want, got.Token, "%s: the token of %s: %s", when, issue.AppID, got.Error)
		if at == failing {
			want = ""
		}
		assert.Equal(t, want, got.Entry, "%s: the entry of %s", when, issue.AppID)
	}
}

// forget starts the counters of the Go client anew.
func (p *pool) forget() {
	for _, reads := range p.reads {
		reads.set(counts{})
	}
}

// readOn waits until the Go client has read every account ten times more, and returns these reads.
func (p *pool) readOn(t *testing.T) (more counts) {
	t.Helper()
	for account, reads := range p.reads {
		before := reads.copy()
		var now counts
		require.Eventually(t, func() bool { now = reads.copy(); return now.total >= before.total+10 }, patience, often, "reads of %s", account)
		more.total += now.total - before.total
		more.fromSidecar += now.fromSidecar - before.fromSidecar
	}
	return more
}

// counts are those of one account's reads.
type counts struct {
	total, fromSidecar, failed, invalid int
	err                                 error // the last one
}

// seen is safe for concurrent use.
type seen struct {
	mu sync.Mutex // guards counts
	counts
}

func (s *seen) from(source client.Source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if source == client.SourceSidecar {
		s.fromSidecar++
	}
}

func (s *seen) judge(err error, valid bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total++
	if err != nil {
		s.failed, s.err = s.failed+1, err
	} else if !valid {
		s.invalid++
	}
}

func (s *seen) copy() counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

func (s *seen) set(c counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts = c
}
