package web

import "net/http"

// SetMaxUnderWay bounds the requests under way in an API.
func SetMaxUnderWay(h http.Handler, n int64) { h.(*api).max = n }

// UnderWay counts the requests under way in an API.
func UnderWay(h http.Handler) int64 { return h.(*api).underWay.Load() }

// Bounded is a listener with at most so many connections.
var Bounded = bounded

// IsLoopback reports whether the name in a Host header is loopback.
func IsLoopback(host string) bool { return isLoopback(hostOnly(host)) }
