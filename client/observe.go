package client

import "github.com/wxsidecar/wxsidecar/memcache"

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
