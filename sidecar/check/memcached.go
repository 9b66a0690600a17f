package check

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

// nearlyFull is the share of its memory, in percent, from which a memcached counts as full.
const nearlyFull = 90

// memcached asks each server.
func (r *results) memcached(ctx context.Context, cfg Config) {
	late := late(ctx, cfg.Strict)
	for _, server := range cfg.Store.Inspect(ctx) {
		check := "memcached " + server.Server
		if len(server.Several) > 0 {
			note := hint.SeveralAddresses(server.Server, server.Several)
			r.failing(check, note.Text.English, note.Hint.English)
		}
		switch {
		case server.Err != nil:
			r.failing(check, strings.TrimPrefix(server.Err.Error(), "memcache: "), hint.Memcached(server.Err).English)
		case late[server.Server] == lateTries:
			r.failing(check, fmt.Sprintf("answers, but not within MEMCACHED_TIMEOUT=%s, so sidecars take it for failed", cfg.Timeout),
				"find out what loads memcached or the network, or raise MEMCACHED_TIMEOUT for sidecars and apps")
		case server.Stats == nil:
			r.unknown(check, "answers, "+protection(server.Security)+"; it has no stats, as a proxy has none", "look at the memory of the memcached behind it")
		default:
			r.ok(check, fmt.Sprintf("answers, %s; version %s, up %s", protection(server.Security), server.Stats["version"],
				status.Span(time.Duration(number(server.Stats, "uptime"))*time.Second)))
			if server.Security.AuthFile != "" && server.Settings["auth_enabled_ascii"] == "no" {
				r.unknown(check, "it demands no password, so MEMCACHED_AUTH_FILE protects nothing", "run it with -Y, or remove MEMCACHED_AUTH_FILE")
			}
			r.memory(check, server)
		}
	}
}

// lateTries is how often each server is asked with the timeout of the sidecar. One late
// answer is nothing.
const lateTries = 3

// late counts by server how often none came within the timeout of the sidecar. A nil store
// has no servers.
func late(ctx context.Context, store *memcache.Store) map[string]int {
	count := map[string]int{}
	for range lateTries {
		if store == nil {
			break
		}
		for _, server := range store.Inspect(ctx) {
			if server.Err != nil {
				count[server.Server]++
			}
		}
	}
	return count
}

// protection says in words how connections are protected.
func protection(s memcache.Security) string {
	switch {
	case s.TLS && s.AuthFile != "":
		return "with TLS and authentication"
	case s.TLS:
		return "with TLS, without authentication"
	case s.AuthFile != "":
		return "without TLS, with authentication"
	}
	return "without TLS and authentication"
}

// memory looks at what happens if the memory of a server is full.
func (r *results) memory(check string, server memcache.Inspection) {
	limit, evictions, refused := number(server.Stats, "limit_maxbytes"), number(server.Stats, "evictions"), number(server.Stats, "store_no_memory")
	percent := 0
	if limit > 0 {
		percent = 100 * number(server.Stats, "bytes") / limit
	}
	used := fmt.Sprintf("%d %% of %d MB used", percent, limit>>20)
	switch {
	case server.Settings["cas_enabled"] == "no":
		r.failing(check, "it runs without compare-and-swap (-C)", "run it without -C: sidecars cannot renew without it")
	case server.Settings["evictions"] == "off" && (percent >= nearlyFull || refused > 0):
		r.failing(check, fmt.Sprintf("%s, and it does not evict (-M): it has refused %d values, and can refuse new tokens", used, refused), "raise its memory (-m), or let it evict (no -M)")
	case server.Settings["evictions"] == "off":
		r.unknown(check, used+", and it does not evict (-M): once it is full, it refuses new tokens", "run it without -M, or watch its memory")
	case evictions > 0:
		r.unknown(check, fmt.Sprintf("%s; %d values were evicted, and tokens can be among them", used, evictions),
			"raise its memory (-m), or give the sidecars a memcached of their own")
	default:
		r.ok(check, used+", nothing evicted")
	}
}

// number returns a value of stats, or 0.
func number(stats map[string]string, name string) int {
	n, _ := strconv.Atoi(stats[name])
	return n
}
