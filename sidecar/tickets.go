package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// ticketKinds are the kinds that WECHAT_TICKETS can name.
var ticketKinds = map[string]memcache.Kind{
	"jsapi":   memcache.JSAPITicket,
	"wx_card": memcache.WXCardTicket,
}

// ticket is one element of WECHAT_TICKETS.
type ticket struct {
	appID string // "": all accounts
	kind  memcache.Kind
}

// parseTicket parses jsapi, or wx0123456789abcdef:jsapi. The error does not quote it.
func parseTicket(text string) (ticket, error) {
	appID, name, one := strings.Cut(text, ":")
	if !one {
		appID, name = "", text
	}
	kind, ok := ticketKinds[strings.TrimSpace(name)]
	appID = strings.TrimSpace(appID)
	switch {
	case !ok:
		return ticket{}, errors.New("the kind is unknown")
	case one && notAppID(appID) != (hint.Hint{}):
		return ticket{}, errors.New("the part before the colon is wrong: " + notAppID(appID).English)
	}
	return ticket{appID, kind}, nil
}

// tickets are the tickets of all accounts.
type tickets []ticket

// tickets returns WECHAT_TICKETS, which check has accepted.
func (c config) tickets() tickets {
	var all tickets
	for _, text := range c.Tickets {
		if one, err := parseTicket(text); err == nil {
			all = append(all, one)
		}
	}
	return all
}

// of returns the kinds of an account, each once.
func (t tickets) of(appID string) []memcache.Kind {
	var kinds []memcache.Kind
	for _, one := range t {
		if (one.appID == "" || one.appID == appID) && !slices.Contains(kinds, one.kind) {
			kinds = append(kinds, one.kind)
		}
	}
	return kinds
}

// named returns the AppIDs that are named.
func (t tickets) named() []string {
	var appIDs []string
	for _, one := range t {
		if one.appID != "" && !slices.Contains(appIDs, one.appID) {
			appIDs = append(appIDs, one.appID)
		}
	}
	return appIDs
}
