package wechattest

import (
	"crypto/rand"
	"fmt"
	"time"
)

// EgressIP is the client's address in the errmsg of 40164 and 61004.
const EgressIP = "1.2.3.4"

// errmsgs are WeChat's own texts.
var errmsgs = map[int]string{
	-1:    "system error",
	40001: "invalid credential, access_token is invalid or not latest",
	40002: "invalid grant_type",
	40013: "invalid appid",
	40014: "invalid access_token",
	40125: "invalid appsecret, view more at http://t.cn/RAEkdVq",
	40029: "invalid code",
	40163: "code been used",
	40164: "invalid ip " + EgressIP + " ipv6 ::ffff:" + EgressIP + ", not in whitelist",
	40226: "code blocked",
	40243: "AppSecret has been frozen, please unfreeze it and try again",
	40097: "invalid args",
	41001: "access_token missing",
	41002: "appid missing",
	41004: "appsecret missing",
	41008: "missing code",
	42001: "access_token expired",
	43001: "require GET method",
	43002: "require POST method",
	45009: "reach max api daily quota limit",
	45011: "api minute-quota reach limit, must slower, retry next minute",
	47001: "data format error",
	48001: "api unauthorized",
	48006: "forbid to clear quota because of reaching the limit",
	50004: "forbid to use token because of user status",
	50007: "account has been cancelled",
	61004: "access clientip is not registered requestIP: " + EgressIP,
	76003: "invalid cgi_path",
	76021: "cgi_path not found, please check",
	76022: "could not use this cgi_path, no permission",
	89501: "this ip is waiting for the administrator to confirm",
	89503: "this ip call has to be confirmed by the administrator",
	89506: "the administrator refused this ip twice, cannot call within 24 hours",
	89507: "the administrator refused this ip, cannot call within 1 hour",
}

// Errmsg returns WeChat's errmsg for an errcode, with a rid. For 0 it is "ok".
func Errmsg(errcode int, now time.Time) string {
	if errcode == 0 {
		return "ok"
	}
	text, ok := errmsgs[errcode]
	if !ok {
		text = "error"
	}
	random := make([]byte, 8)
	_, _ = rand.Read(random) // never fails
	return fmt.Sprintf("%s rid: %08x-%x-%x", text, now.Unix(), random[:4], random[4:])
}
