// Package jssdk signs pages for WeChat's JS-SDK.
//
// A page passes a [Config] to wx.config. WeChat compares its signature with the SHA-1 of
// four pairs in alphabetical order, with raw values:
//
//	jsapi_ticket=…&noncestr=…&timestamp=…&url=…
//
// url is the page's address as the browser has it in location.href, up to the first #.
package jssdk

import (
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // WeChat requires SHA-1
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Config is what a page passes to wx.config, beside jsApiList. Its JSON has the names that
// wx.config uses.
type Config struct {
	AppID     string `json:"appId"`
	Timestamp int64  `json:"timestamp"` // in Unix seconds
	NonceStr  string `json:"nonceStr"`
	Signature string `json:"signature"`
	// URL is the signed address. If it is not what the page has in location.href up to #,
	// WeChat refuses the signature. wx.config ignores it.
	URL string `json:"url"`
}

// ErrPage means that a text cannot be the address of a page.
var ErrPage = errors.New("not the address of a web page; use location.href unchanged, which begins with http:// or https:// and has no spaces")

// Page returns the part of a page's address that is signed: all before the first #. The
// error is ErrPage, and does not quote the address. The PHP client has the same rule.
func Page(address string) (string, error) {
	signed, _, _ := strings.Cut(address, "#")
	scheme, rest, _ := strings.Cut(signed, "://")
	if scheme != "http" && scheme != "https" || rest == "" || strings.ContainsRune(`/?\`, rune(rest[0])) || strings.ContainsFunc(rest, foreign) {
		return "", ErrPage
	}
	return signed, nil
}

// foreign reports whether an address cannot have a character. RuneError stands for bytes
// that are not UTF-8.
func foreign(r rune) bool { return r <= ' ' || r == 0x7f || r == utf8.RuneError }

// Sign signs a page, which [Page] returned, with the account's jsapi ticket.
func Sign(appID, ticket, page string) Config {
	c := Config{AppID: appID, Timestamp: time.Now().Unix(), NonceStr: rand.Text(), URL: page}
	c.Signature = Signature(ticket, c.NonceStr, c.Timestamp, page)
	return c
}

// Signature returns WeChat's signature of these values, in lower-case hexadecimal digits.
func Signature(ticket, nonceStr string, timestamp int64, page string) string {
	sum := sha1.Sum(fmt.Appendf(nil, "jsapi_ticket=%s&noncestr=%s&timestamp=%d&url=%s", ticket, nonceStr, timestamp, page)) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}
