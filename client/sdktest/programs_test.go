package sdktest

import (
	"context"
	"fmt"
	"net/url"

	"github.com/wxsidecar/wxsidecar/client"
)

// The class considers a token expired 3600 s after its fetch. The mirrors write the
// fetch as the expiry less 3660 s, so the class fetches 60 s before the expiry. The
// tokens of these tests expire in less time, so the class would fetch at once. This
// changes that one number: the class fetches 3 s before the expiry.
const stale = "STALE=3657"

// unchangedMemcache can request tokens from WeChat: it reads a memcached that has just
// restarted, before a sidecar has written the entry.
const unchangedMemcache = "class, memcache"

// The sidecar's variables for some of them.
const (
	table    = "`MIRROR_MYSQL_DSN`"
	jsonFile = "`MIRROR_FILE`"
	routes   = "`SIDECAR_COMPAT`"
	tickets  = "`WECHAT_TICKETS`"
)

// programs returns new programs, one of each kind.
func programs() []*program {
	const address, one = "WeChat's address", "one line"
	return []*program{
		{name: "class, database", change: "nothing", with: table, start: php("database", fixed(stale), database)},
		{name: "class, database, PHP before 8.1", change: address, with: table + ", " + routes, start: php("database", fixed(stale, "QUIET=1"), database, compat)},
		{name: unchangedMemcache, change: "nothing", start: php("memcache")},
		{name: unchangedMemcache, change: address, with: routes, start: php("memcache", compat)},
		{name: "class, file", change: "nothing", with: jsonFile, start: php("file", fixed(stale), tokenFile)},
		{name: "class, real time", change: address, with: routes, start: php("realtime", compat)},
		{name: "plain PHP, ext-memcached", change: "five lines", start: php("plain", readme("memcached"))},
		{name: "plain PHP, ext-memcache", change: "five lines", start: php("plain", readme("memcache"))},
		{name: "client/php, ext-memcached", change: one, start: php("client", fixed("EXTENSION=memcached"))},
		{name: "client/php, ext-memcache", change: one, start: php("client", fixed("EXTENSION=memcache"))},
		{name: "client/php, sidecar only", change: one, start: php("client")},
		{name: "EasyWeChat 6, its interface", change: "two lines", start: php("easywechat", fixed("EXTENSION=memcached"))},
		{name: "client (Go)", change: one, start: golang(bare)},
		{name: "client (Go), HTTPClient", change: one, start: golang(throughHTTPClient)},
		{name: "silenceper/wechat v2.1.13", change: one, start: golang(silenceper)},
		{name: "chanxuehong/wechat 3ccc67d5e12d", change: one, start: golang(chanxuehong)},
		{name: "PowerWeChat v3, its shape", change: one, start: golang(powerwechat)},
		{name: "jsapi_ticket: class, database", change: "nothing", with: table + ", " + tickets, start: php("database", fixed(stale, "TICKET=1"), database)},
		{name: "jsapi_ticket: client/php", change: one, with: tickets, start: php("client", fixed("EXTENSION=memcached", "TICKET=1"))},
		{name: "jsapi_ticket: client (Go)", change: one, with: tickets, start: golang(ticket)},
	}
}

// variables returns variables of a PHP program.
type variables func(s *stage) []string

func fixed(environ ...string) variables { return func(*stage) []string { return environ } }

func database(s *stage) []string {
	return []string{"DATABASE=" + databaseName, "DATABASE_SOCKET=" + s.mariadb.Socket()}
}

func tokenFile(s *stage) []string { return []string{"TOKEN_FILE=" + s.file} }

// compat makes the sidecar serve WeChat's token route.
func compat(s *stage) []string { return []string{"TOKEN_API=http://" + s.api} }

func readme(extension string) variables {
	return func(s *stage) []string { return []string{"README_LINES=" + s.plainPHP[extension]} }
}

func bare(c *client.Client, e *endpoint) func() error {
	hc := e.client()
	return func() error {
		token, err := c.AccessToken(context.Background())
		if err != nil {
			return err
		}
		return refusal(errcodeOf(hc, e.url+"/cgi-bin/user/info?openid="+openID+"&access_token="+url.QueryEscape(token)))
	}
}

func ticket(c *client.Client, e *endpoint) func() error {
	hc := e.client()
	return func() error {
		ticket, err := c.Ticket(context.Background(), client.JSAPI)
		if err != nil {
			return err
		}
		return refusal(errcodeOf(hc, e.url+"/signed?ticket="+url.QueryEscape(ticket)))
	}
}

func throughHTTPClient(c *client.Client, e *endpoint) func() error {
	hc := c.HTTPClient(e.client())
	return func() error {
		return refusal(errcodeOf(hc, "https://api.weixin.qq.com/cgi-bin/user/info?openid="+openID))
	}
}

// sameUser returns an error unless the answer is about openID.
func sameUser(got string) error {
	if got != openID {
		return fmt.Errorf("openid %q; want %q", got, openID)
	}
	return nil
}

// refusal returns WeChat's errcode as an error.
func refusal(errcode int, err error) error {
	if err == nil && errcode != 0 {
		err = fmt.Errorf("WeChat refused: %d", errcode)
	}
	return err
}
