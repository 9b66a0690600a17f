package main

import "time"

const (
	classicAPI = "token"
	stableAPI  = "stable_token"
)

// contestant is one way to get an access_token.
type contestant struct {
	name string
	runs string // its name for worker/main.go; empty: worker.php
	api  string
	ours bool // a sidecar in every pod

	// If it keeps time in memcached: the key of the entry, and how long it lives.
	entry     string
	entryLife time.Duration
	// If it keeps time in the process: how long the first token of the renewal lives,
	// and when the contestant renews it.
	firstLife, due time.Duration
}

var contestants = []contestant{
	{name: "PHP class (rebuilt)", api: classicAPI, entry: appID, entryLife: 3600 * time.Second},
	{
		name: "silenceper/wechat", runs: "silenceper", api: classicAPI,
		entry: "gowechat_officialaccount__access_token_" + appID, entryLife: life - 1500*time.Second,
	},
	{
		name: "silenceper/wechat, UseStableAK", runs: "silenceper-stable", api: stableAPI,
		entry: "gowechat_officialaccount__stable_access_token_" + appID, entryLife: life - grace,
	},
	{name: "chanxuehong/wechat", runs: "chanxuehong", api: classicAPI, firstLife: 61 * time.Second, due: 51 * time.Second},
	{name: "bare stable_token", runs: "stable", api: stableAPI, firstLife: 12 * time.Second, due: 11 * time.Second},
	{name: "wxsidecar, token", runs: "wxsidecar", api: classicAPI, ours: true, firstLife: 12 * time.Second, due: 6 * time.Second},
	{name: "wxsidecar, stable_token", runs: "wxsidecar", api: stableAPI, ours: true, firstLife: 12 * time.Second, due: 6 * time.Second},
}

// firstGrace replaces the 300 s before its end from which on stable_token issues the
// next token, while tokens live firstLife. It is longer than what is left when
// wxsidecar's renewal is due, as 300 s are longer than its 295 s.
const firstGrace = 6500 * time.Millisecond
