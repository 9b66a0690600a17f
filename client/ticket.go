package client

import (
	"context"
	"fmt"
)

// TicketKind is a kind of ticket, by WeChat's name for it.
type TicketKind string

// The tickets that a sidecar can renew; its WECHAT_TICKETS selects them.
const (
	JSAPI  TicketKind = "jsapi"   // signs a page for the JS-SDK
	WXCard TicketKind = "wx_card" // signs cards and coupons
)

// Ticket returns a ticket that WeChat accepts, from memcached, else from the sidecar.
// Config.Local does not apply to tickets, because a reader does not know when they
// expire. An *Error with code 404 means that WECHAT_TICKETS does not name this one.
func (c *Client) Ticket(ctx context.Context, kind TicketKind) (string, error) {
	t, err := c.ticket(kind)
	if err != nil {
		return "", err
	}
	return t.get(ctx)
}

// RefreshTicket reports that WeChat refused the ticket rejected, and returns the
// current one, as Refresh does for a token.
func (c *Client) RefreshTicket(ctx context.Context, kind TicketKind, rejected string) (string, error) {
	t, err := c.ticket(kind)
	if err != nil {
		return "", err
	}
	return t.refresh(ctx, rejected)
}

func (c *Client) ticket(kind TicketKind) (*credential, error) {
	if t, ok := c.tickets[kind]; ok {
		return t, nil
	}
	return nil, fmt.Errorf("client: unknown kind of ticket %q; use client.JSAPI or client.WXCard", string(kind))
}
