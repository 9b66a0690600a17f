package client

import (
	"context"
	"fmt"

	"github.com/wxsidecar/wxsidecar/client/jssdk"
)

// JSConfig signs a page for WeChat's JS-SDK, with the jsapi ticket: see Ticket. url is the
// page's address, as location.href has it. The part from # on is not signed. If url cannot
// be an address, the error is jssdk.ErrPage.
func (c *Client) JSConfig(ctx context.Context, url string) (jssdk.Config, error) {
	page, err := jssdk.Page(url)
	if err != nil {
		return jssdk.Config{}, fmt.Errorf("client: sign a page of %s: %w", c.appID, err)
	}
	ticket, err := c.Ticket(ctx, JSAPI)
	if err != nil {
		return jssdk.Config{}, err
	}
	return jssdk.Sign(c.appID, ticket, page), nil
}
