package sdktest

import (
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

// every is how often a program has a request to answer, for which it needs a
// token.
const every = 200 * time.Millisecond

// program is one that reads tokens: a variant of the class, or an SDK.
type program struct {
	name   string // for the table
	change string // in its code
	with   string // what the sidecar is told for it
	start  func(t *testing.T, s *stage, d *door) (stop func() tally)

	door  *door
	stop  func() tally
	told  tally
	count count // its own, once it has ended
}

// tally is what a program says of itself.
type tally struct {
	Requests int    `json:"requests"`
	Failed   int    `json:"failed"` // requests that ended with an error of the program's own, before it had a token
	First    string `json:"first"`  // of these errors
}

// php is a program of testdata, and what it is told beside the usual.
func php(name string, tellings ...telling) func(*testing.T, *stage, *door) func() tally {
	return func(t *testing.T, s *stage, d *door) func() tally {
		t.Helper()
		// What is said last counts.
		all := []string{
			"APPID=" + appID, "API=" + d.url, "TOKEN_API=" + d.url, "MEMCACHED=" + s.memcached.Address, "SIDECAR=http://" + s.api,
		}
		for _, tell := range tellings {
			all = append(all, tell(s)...)
		}
		run, err := filepath.Abs(filepath.Join("testdata", "run.php"))
		require.NoError(t, err)
		p := spawn(t, all, "php", "-d", "display_errors=stderr", "-d", "error_reporting=-1", "-d", "curl.cainfo="+d.ca, run, name)
		return func() tally {
			_ = p.Stdin.Close() // tells it to end
			p.Ends(t, patience)
			var told tally
			require.NoError(t, json.Unmarshal([]byte(p.Stdout.String()), &told), "%s.php: %s", name, p.Stderr.String())
			return told
		}
	}
}

// golang is a program that uses an SDK: connect is its start, and returns what it
// does for one request.
func golang(connect func(c *client.Client, d *door) (request func() error)) func(*testing.T, *stage, *door) func() tally {
	return func(t *testing.T, s *stage, d *door) func() tally {
		t.Helper()
		request := connect(s.client(t), d)
		end := make(chan struct{})
		var told tally
		var running sync.WaitGroup
		running.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				uses := d.so().uses
				err := request()
				told.Requests++
				if err != nil && d.so().uses == uses { // else WeChat's door has counted it
					told.Failed++
					if told.First == "" {
						told.First = err.Error()
					}
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
			return told
		}
	}
}

// begin starts the program at a door of its own.
func (p *program) begin(t *testing.T, s *stage) {
	t.Helper()
	p.door = newDoor(t, s.wechat)
	p.stop = p.start(t, s, p.door)
}

// end stops it and takes what it says.
func (p *program) end(t *testing.T) {
	t.Helper()
	p.told, p.count = p.stop(), p.door.so()
	programtest.AssertNoCanary(t, p.told.First)
	p.told.First = shortened(p.told.First)
	assert.Positive(t, p.count.uses, "%s never used a token", p)
}

// String is for messages.
func (p *program) String() string { return p.name + " (changed: " + p.change + ")" }

// without is the requests that had no token to go on with.
func (p *program) without() int { return p.count.without + p.told.Failed }

func shortened(text string) string {
	if len(text) > 200 {
		return text[:200] + "…"
	}
	return text
}
