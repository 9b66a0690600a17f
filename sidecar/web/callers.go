package web

import (
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// callersEvery is the time between two lines about refused callers: a wrong caller can
// try thousands of times a second.
const callersEvery = time.Minute

// refusedCallers counts the callers that one guard refuses, and logs them.
type refusedCallers struct {
	reason, hint string
	count        *metrics.Counter
	log          *slog.Logger

	mu       sync.Mutex // guards what follows
	logged   time.Time  // zero before the first line
	unlogged int        // refused since then
}

// note counts a refused request. It logs the first one, and one a minute with the number
// since the last line. more are further attributes of the line.
func (c *refusedCallers) note(r *http.Request, more ...any) {
	c.count.Inc()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.unlogged++
	now := time.Now()
	if now.Sub(c.logged) < callersEvery {
		return
	}
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		from = "unix socket"
	}
	c.log.Warn("requests refused", append(more, "reason", c.reason, "requests", c.unlogged, "from", from, "hint", c.hint)...)
	c.logged, c.unlogged = now, 0
}
