package sdktest

import (
	"cmp"
	"encoding/json"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// every is the time between two requests of a program, each of which needs a token.
const every = 200 * time.Millisecond

// program is a program that reads tokens: a variant of the class, or an SDK.
type program struct {
	name   string // for the table
	change string // in its code
	with   string // the sidecar's variables for it
	start  func(t *testing.T, s *stage, e *endpoint) (stop func() tally)

	endpoint *endpoint
	stop     func() tally
	tally    tally // set by end
	count    count // set by end
}

// tally is what a program reports at its end.
type tally struct {
	Requests int    `json:"requests"`
	Failed   int    `json:"failed"`     // requests that failed before the program had a token
	Error    string `json:"firstError"` // of these
}

// php returns a program of testdata, with further variables.
func php(name string, further ...variables) func(*testing.T, *stage, *endpoint) func() tally {
	return func(t *testing.T, s *stage, e *endpoint) func() tally {
		t.Helper()
		all := []string{
			"APPID=" + appID, "API=" + e.url, "TOKEN_API=" + e.url, "MEMCACHED=" + s.memcached.Address, "SIDECAR=http://" + s.api,
		}
		for _, of := range further {
			all = append(all, of(s)...) // the last value of a variable counts
		}
		run, err := filepath.Abs(filepath.Join("testdata", "run.php"))
		require.NoError(t, err)
		p := spawn(t, all, "php", "-d", "display_errors=stderr", "-d", "error_reporting=-1", "-d", "curl.cainfo="+e.ca, run, name)
		return func() tally {
			_ = p.Stdin.Close() // ends it
			p.Ends(t, patience)
			var result tally
			require.NoError(t, json.Unmarshal([]byte(p.Stdout.String()), &result), "%s.php: %s", name, p.Stderr.String())
			return result
		}
	}
}

// golang returns a program that uses an SDK: connect returns the function that sends
// one request.
func golang(connect func(c *client.Client, e *endpoint) (request func() error)) func(*testing.T, *stage, *endpoint) func() tally {
	return func(t *testing.T, s *stage, e *endpoint) func() tally {
		t.Helper()
		request := connect(s.client(t), e)
		end := make(chan struct{})
		var result tally
		var running sync.WaitGroup
		running.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				uses := e.counts().uses
				err := request()
				result.Requests++
				if err != nil && e.counts().uses == uses { // else the endpoint has counted it
					result.Failed++
					result.Error = cmp.Or(result.Error, err.Error())
				}
				select {
				case <-end:
					return
				case <-tick.C:
				}
			}
		})
		return func() tally {
			close(end)
			running.Wait()
			return result
		}
	}
}

// begin starts the program with its own endpoint.
func (p *program) begin(t *testing.T, s *stage) {
	t.Helper()
	p.endpoint = newEndpoint(t, s.wechat)
	p.stop = p.start(t, s, p.endpoint)
}

// end stops the program and sets tally and count.
func (p *program) end(t *testing.T) {
	t.Helper()
	p.tally, p.count = p.stop(), p.endpoint.counts()
	programtest.AssertNoCanary(t, p.tally.Error)
	assert.Positive(t, p.count.uses, "%s never used a token", p)
}

// String implements fmt.Stringer.
func (p *program) String() string { return p.name + " (changed: " + p.change + ")" }

// without returns how many requests had no token.
func (p *program) without() int { return p.count.without + p.tally.Failed }
