// Package web answers a sidecar's HTTP requests: those of apps on the API, which gives
// credentials, and those of people and probes on the ops listener.
//
// # What it promises
//
//  1. A request gets its answer within 12 s. If there is a valid credential, the answer
//     comes at once, from memory.
//  2. All requests that wait for one credential cause one renewal. At most 20,000
//     requests are served at a time; the next one is refused with Retry-After. With a
//     memory limit, package listener's limit on connections applies first: 288 with
//     32 MiB. Further connections queue.
//  3. A tricked browser or app cannot fetch a credential for an attacker: see Guards. On
//     WeChat's own routes, which are off by default, a tricked app can.
//  4. No credential, AppSecret, bearer token, query, body or answer of a login is logged. The ops listener
//     carries none either: it shows the first 8 hex digits of a credential's SHA-256.
//
// # The API
//
//	GET  /v1/{appid}/access_token                               → {"access_token":"…","expires_in":3123}
//	POST /v1/{appid}/access_token/refresh    {"rejected":"…"}   → the same, with another token than the rejected one
//	GET  /v1/{appid}/jsapi_ticket, wx_card_ticket               → {"ticket":"…","expires_in":3123}
//	POST /v1/{appid}/jsapi_ticket/refresh    {"rejected":"…"}   → the same
//	POST /v1/{appid}/wx_card_ticket/refresh  {"rejected":"…"}   → the same
//	GET  /v1/{appid}/jsapi_signature?url=…                      → {"appId":"…","timestamp":…,"nonceStr":"…","signature":"…","url":"…"}
//	POST /v1/{appid}/jsapi_signature         {"url":"…"}        → the same
//	POST /v1/{appid}/login                   {"js_code":"…"}    → WeChat's answer: {"openid":"…","session_key":"…"}
//	POST /v1/{appid}/oauth                   {"code":"…"}       → WeChat's answer: {"openid":"…","access_token":"…",…}
//
// The API does not clean, redirect or decode a path, and ignores a query, but for that of
// a signature. expires_in is in seconds, and a promise: see keeper.Grant. A signature is
// for a page's wx.config: see package jssdk. The codes of users are exchanged once, 64 at a
// time, apart from other requests: see package login.
//
// With the header X-Wxsidecar-Upstream, which sidecars without the AppSecret send, an answer
// also has "number" and "life", see package upstream.
//
// A refusal is {"errcode":…,"errmsg":"…"}, like WeChat's, with a third field, hint, if
// something can be done about it:
//
//	status                    errcode     why
//	400                       400         malformed AppID, path or body; or a sidecar asks one that has an upstream
//	401 + WWW-Authenticate    401         wrong bearer token
//	403                       403         a guard, or a caller that may only read
//	404                       40013       this sidecar does not have the AppID
//	404                       404         it does not have this kind, logins are off, or no such route
//	405 + Allow               405         method
//	413                       413         body over 8 KiB
//	429 + Retry-After         429         the budget or the throttle refuses a renewal
//	500                       500         a fault of this program
//	502 (+ Retry-After)       WeChat's    WeChat refused, and a person must act; errmsg is WeChat's, with its rid
//	502                       WeChat's    WeChat refused a login
//	502                       -1          a login without a readable answer: its code may be used up
//	503 + Retry-After         -1          no valid credential for now, or too many requests; a login that was not sent
//
// # Guards
//
// They apply in this order, before anything else:
//
//  1. X-Wxsidecar: 1 must be there. A web page cannot send it to another origin, and an
//     app that is tricked into fetching a URL does not.
//  2. If a bearer token is configured, Authorization must carry it, or that of readers:
//     with that one, refresh and logins are 403.
//  3. If none is: no X-Forwarded-For and no Origin, which only proxies and browsers send.
//     On TCP, the Host must be loopback: a page whose DNS was rebound to 127.0.0.1 has
//     another one.
//
// # WeChat's own routes
//
// With APIConfig.Compat, programs whose token address can be set get WeChat's answers:
// HTTP 200, and the error as errcode in the body.
//
//	GET  /cgi-bin/token?grant_type=client_credential&appid=…&secret=…                 → {"access_token":"…","expires_in":3123}
//	POST /cgi-bin/stable_token  {"grant_type":"client_credential","appid":"…",…}      → the same; force_refresh forces nothing
//	GET  /cgi-bin/ticket/getticket?type=jsapi&access_token=…                          → {"errcode":0,"errmsg":"ok","ticket":"…","expires_in":3123}
//	GET  /sns/jscode2session?grant_type=authorization_code&appid=…&secret=…&js_code=…  → as POST /v1/{appid}/login
//	GET  /sns/oauth2/access_token?grant_type=authorization_code&appid=…&…&code=…      → as POST /v1/{appid}/oauth
//
//	errcode                  why
//	-1                       no valid credential for now, or too many requests
//	40001                    no account of this sidecar owns the access_token
//	40002, 41001, 41002      wrong grant_type; no access_token; no appid
//	40029, 41008             not a possible code; no code
//	40097, 43001 to 47001    wrong type; wrong method; malformed body
//	40013                    this sidecar does not have the AppID
//	41004, 40125             with a bearer token: no secret, or a wrong one
//	48001                    this sidecar does not have the ticket
//	any other                WeChat's refusal, with its errmsg and rid
//
// The first guard does not apply: an app that is tricked into fetching a URL can fetch a
// token. If a bearer token is configured, secret must be equal to it, and for a ticket
// the account's access_token authorizes the caller. If none is, the third guard applies
// (HTTP 403). Sec-Fetch-Site, which browsers send, is always refused (HTTP 403). Any other
// path under /cgi-bin/ or /sns/ is 404, as are all of them while they are off.
//
// # The ops listener
//
// It answers GET and HEAD of every client. For / and /status.json the Host must be known:
// see opsHosts; any other is 421, and gets the status alone from a probe. A probe is 200 or 503. A 503 names the
// accounts, 20 at most, each with its errcode and a hint.
//
//	/livez        the process answers; also while it drains
//	/startupz     every account's token is in memcached, or to wait longer does not help;
//	              10 s after the start at the latest; stays so
//	/readyz       every account has a valid token, published or not; one line for a
//	              memcached and for each mirror that fails, which changes nothing else
//	/metrics      Prometheus text 0.0.4: the families of families.go. The series of an
//	              account end with it, and appid and kind are the only labels that grow
//	/status.json  status.Sidecar, with all credentials
//	/             the status page, see package page
//
// /startupz holds a request for up to 1.5 s before its 503. To wait does not help if
// memcached fails and there is a token, or if a renewal failed and the next one comes
// later.
//
// /livez never waits, nor does /startupz after its first 200. The others hold the states
// of all accounts: four are answered at a time, and the next one waits for 5 s, then 503.
package web
