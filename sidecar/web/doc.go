// Package web is what a sidecar answers over HTTP: the API, which gives
// credentials to apps, and the ops listener, which tells people and probes how
// they are doing.
//
// # What it promises
//
//  1. A caller is answered within 12 s. Where there is a live credential, at once
//     and from memory.
//  2. However many wait for one credential, they cause one renewal. At most
//     20,000 requests are under way at a time; the next is told to come back.
//  3. Nobody is given a credential through a tricked browser or app: see Guards. Of
//     WeChat's own routes, which are off by default, the app is excepted.
//  4. No credential, AppSecret, bearer token, query or body is ever logged, and
//     the ops listener carries none: there a credential is the first 8 digits of
//     its SHA-256.
//
// # The API
//
//	GET  /v1/{appid}/access_token                              → {"access_token":"…","expires_in":3123}
//	POST /v1/{appid}/access_token/refresh  {"rejected":"…"}    → the same, with another token than the rejected one
//	GET  /v1/{appid}/jsapi_ticket, wx_card_ticket              → {"ticket":"…","expires_in":3123}
//	POST /v1/{appid}/jsapi_ticket/refresh  {"rejected":"…"}    → the same
//
// A path is taken as it is: none is cleaned, redirected or decoded. A query is
// ignored. expires_in is in seconds and a promise, see keeper.Grant.
//
// A refusal is {"errcode":…,"errmsg":"…"}, as WeChat's are, and has a third
// field, hint, where something can be done about it:
//
//	status                    errcode     why
//	400                       400         malformed AppID, path or body
//	401 + WWW-Authenticate    401         wrong bearer token
//	403                       403         a guard
//	404                       40013       AppID not kept here
//	404                       404         kind not kept, or no such route
//	405 + Allow               405         method
//	413                       413         body over 8 KiB
//	429 + Retry-After         429         a renewal would be one too many
//	500                       500         a fault of this program
//	502 (+ Retry-After)       WeChat's    WeChat refused, and a person must act; errmsg is WeChat's, with its rid
//	503 + Retry-After         -1          nothing valid to give for now, or too many callers
//
// # Guards
//
// They are asked in this order, before anything else is looked at:
//
//  1. X-Wxsidecar: 1 must be there. A web page cannot send it to a stranger, and
//     neither can an app that is tricked into fetching a URL.
//  2. Where a bearer token is configured, Authorization must carry it.
//  3. Where none is: no X-Forwarded-For and no Origin, which only proxies and
//     browsers send; and on TCP a Host that is loopback, since the name of a page
//     whose DNS was rebound to 127.0.0.1 is not.
//
// # WeChat's own routes
//
// Where APIConfig.Compat says so, programs whose token address can be set are
// answered as by WeChat: HTTP 200, and what is wrong as errcode in the body.
//
//	GET  /cgi-bin/token?grant_type=client_credential&appid=…&secret=…                 → {"access_token":"…","expires_in":3123}
//	POST /cgi-bin/stable_token  {"grant_type":"client_credential","appid":"…",…}      → the same; force_refresh forces nothing
//	GET  /cgi-bin/ticket/getticket?type=jsapi&access_token=…                          → {"errcode":0,"errmsg":"ok","ticket":"…","expires_in":3123}
//
//	errcode                  why
//	-1                       nothing valid to give for now, or too many callers
//	40001                    nobody kept here owns the access_token, or did a moment ago
//	40002, 41001, 41002      wrong grant_type; no access_token; no appid
//	40097, 43001 to 47001    wrong type; wrong method; a body that is not as it should be
//	40013                    AppID not kept here
//	41004, 40125             where a bearer token is configured: no secret, or another
//	48001                    this ticket is not kept
//	any other                WeChat's refusal, with its errmsg and rid
//
// Of the guards the first is not asked for: so an app that is tricked into fetching
// a URL can fetch a token here. Where a bearer token is configured, secret must be
// it, and for a ticket the access_token of the account lets the caller in; where
// none is, the third guard stays (HTTP 403). Any other path under /cgi-bin/ is 404.
//
// # The ops listener
//
// GET and HEAD, answered to whoever can reach it. A probe is 200 or 503, and then
// says which account, errcode and what to do, for 20 accounts at most.
//
//	/livez        the process answers, draining included
//	/startupz     every account's token is in memcached, or 10 s have passed; stays so
//	/readyz       every account has a valid token to give, published or not; a line about
//	              each mirror that fails, which changes nothing else
//	/metrics      Prometheus text 0.0.4: the families of families.go. What is told of an
//	              account ends with the account, and no label but appid and kind grows
//	/status.json  Status: all credentials, in JSON
//	/             the same for people: what is ill first, with what to do about it, in
//	              English or Chinese. At most 200 credentials in full, the others counted.
//	              It needs no script, loads nothing, and its policy allows neither
//
// /livez never waits, nor does /startupz once it was true. Of all others at most
// four are answered at a time, since each holds the states of all accounts; the
// next waits for 5 s, then 503.
package web
