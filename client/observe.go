package client

import (
	"cmp"
	"context"
	"log/slog"
	"strings"
	"sync"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// Source says where a Client found a credential.
type Source string

// The sources of a credential.
const (
	SourceLocal     Source = "local"     // the process: see Config.Local
	SourceMemcached Source = "memcached" // the usual case
	SourceSidecar   Source = "sidecar"   // a miss, a failure of memcached, or Refresh
)

// Observation describes a credential that a Client returns, without its value.
type Observation struct {
	AppID  string
	Kind   memcache.Kind
	Source Source
}

// warnOfAddresses returns what warns of a server whose name has several addresses, once.
func warnOfAddresses(log *slog.Logger) func(server string, several []string) {
	var warned sync.Map // by the server's name
	return func(server string, several []string) {
		if len(several) == 0 {
			return
		}
		if _, again := warned.LoadOrStore(server, true); !again {
			log.Warn("memcached name has several addresses", "server", server, "addresses", strings.Join(several, ","),
				"hint", "apps and sidecars can use different servers, and apps then read invalid tokens: "+
					"use a Service with a ClusterIP and one pod, or name each pod in MEMCACHED_SERVERS, of sidecars and apps")
		}
	}
}

// warnOfRefusal warns if only a person can end an outage that has just begun.
func (c *credential) warnOfRefusal(ctx context.Context, err error) {
	if err = c.slot.Diagnose(ctx, err); memcache.Misconfigured(err) {
		log := cmp.Or(c.shared.cfg.Log, slog.Default())
		log.Warn("memcached unusable as configured, asking the sidecar", "server", c.slot.Server(), "error", err.Error())
	}
}
