package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// ticketKinds is WeChat's word for each kind of ticket, as WECHAT_TICKETS has it.
var ticketKinds = map[string]memcache.Kind{
	"jsapi":   memcache.JSAPITicket,
	"wx_card": memcache.WXCardTicket,
}

// ticket is one word of WECHAT_TICKETS.
type ticket struct {
	appID string // empty: of all accounts
	kind  memcache.Kind
}

// parseTicket reads jsapi, or wx0123456789abcdef:jsapi. Its error does not quote it.
func parseTicket(text string) (ticket, error) {
	appID, name, one := strings.Cut(text, ":")
	if !one {
		appID, name = "", text
	}
	kind, ok := ticketKinds[strings.TrimSpace(name)]
	appID = strings.TrimSpace(appID)
	switch {
	case !ok:
		return ticket{}, errors.New("is of no kind that there is")
	case one && !memcache.ValidAppID(appID):
		return ticket{}, errors.New("is for something that is not an AppID")
	}
	return ticket{appID, kind}, nil
}

// tickets is who has tickets beside the token.
type tickets []ticket

// tickets is WECHAT_TICKETS, which has been checked.
func (c config) tickets() tickets {
	var all tickets
	for _, text := range c.Tickets {
		if one, err := parseTicket(text); err == nil {
			all = append(all, one)
		}
	}
	return all
}

// of is what is kept for an account; each kind once, however often it is named.
func (t tickets) of(appID string) []memcache.Kind {
	var kinds []memcache.Kind
	for _, one := range t {
		if (one.appID == "" || one.appID == appID) && !slices.Contains(kinds, one.kind) {
			kinds = append(kinds, one.kind)
		}
	}
	return kinds
}

// named is every account that is named.
func (t tickets) named() []string {
	var appIDs []string
	for _, one := range t {
		if one.appID != "" && !slices.Contains(appIDs, one.appID) {
			appIDs = append(appIDs, one.appID)
		}
	}
	return appIDs
}
