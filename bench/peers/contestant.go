package main

import "time"

const (
	classicAPI = "token"
	stableAPI  = "stable_token"
)

// contestant is one way to come by an access_token.
type contestant struct {
	name string
	runs string // what worker/main.go calls it; empty: worker.php
	api  string
	ours bool // a sidecar in every pod

	// Who keeps time in memcached: the key of the entry, and how long it lives.
	// WeChat's tokens live 7,200 s for him.
	entry     string
	entryLife time.Duration
	// Who keeps time in the process: how long the first token lives, for the sake of
	// the renewal, and how long after that the contestant renews it.
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

// firstGrace stands in for the 300 s before its end from which on stable_token
// issues the next token, while tokens live firstLife: more than what is left when
// wxsidecar's renewal is due, as 300 s are more than the 295 s at which it comes.
const firstGrace = 6500 * time.Millisecond
