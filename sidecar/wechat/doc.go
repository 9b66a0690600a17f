// Package wechat requests an access_token or a ticket from WeChat. After a failure it
// reports exactly what the request may have done.
//
// # Promises
//
//   - A [Credential] is returned only for a clear success: HTTP 200, a JSON object
//     without an errcode, a usable token, and an expires_in of at least 1 s.
//     The classic API has returned the token for its whole life: 10 s at least. Another
//     API can return the end of a life.
//   - Every failure is an [*Error]. Its Class says how to continue, and its Hint what
//     a person can do. MayHaveIssued says whether WeChat may have issued a token that
//     no sidecar has.
//   - One call of [Client.Fetch] makes WeChat issue at most one credential. Once a byte
//     of a request may have been sent, neither this package nor net/http sends it
//     again. Redirects are not followed.
//   - No error contains an AppSecret, a token or a user's code, however it is printed.
//
// # Protocol
//
// The classic API issues a new token at every request. The previous token works for
// another 300 s:
//
//	GET /cgi-bin/token?grant_type=client_credential&appid=…&secret=…
//	→ {"access_token":"…","expires_in":7200}
//
// The stable API returns the same token with its remaining lifetime until fewer than
// 300 s remain. With force_refresh it issues a new one:
//
//	POST /cgi-bin/stable_token
//	{"grant_type":"client_credential","appid":"…","secret":"…","force_refresh":false}
//	→ {"access_token":"…","expires_in":5021}
//
// So [Client.Verify] shows with it whether an AppSecret is right, and invalidates nothing.
//
// A ticket is requested with the current token, and does not invalidate the previous
// ticket:
//
//	GET /cgi-bin/ticket/getticket?access_token=…&type=jsapi
//	→ {"errcode":0,"errmsg":"ok","ticket":"…","expires_in":7200}
//
// [Client.Check] shows whether WeChat accepts a token, and issues nothing:
//
//	POST /cgi-bin/openapi/quota/get?access_token=…
//	{"cgi_path":"/cgi-bin/token"}
//	→ {"errcode":0,"errmsg":"ok","quota":{…},"rate_limit":{…}}
//
// [Client.Exchange] exchanges the code that a user's device got, once, for the user:
//
//	GET /sns/jscode2session?grant_type=authorization_code&appid=…&secret=…&js_code=…
//	→ {"openid":"…","session_key":"…"}
//	GET /sns/oauth2/access_token?grant_type=authorization_code&appid=…&secret=…&code=…
//	→ {"access_token":"…","expires_in":7200,"refresh_token":"…","openid":"…","scope":"…"}
//
// WeChat reports its errors with HTTP 200:
//
//	{"errcode":40164,"errmsg":"invalid ip 1.2.3.4 …, not in whitelist rid: 65f…"}
//
// # Why "may have issued" matters
//
// With the classic API a lost answer is not harmless:
//
//  1. A sends a request. WeChat issues token 2, so token 1 works for another 300 s.
//  2. The answer is lost. A still has token 1, and its expiry is far away.
//  3. After 300 s every request with token 1 fails with errcode 40001.
//
// So the caller of Fetch must know whether step 1 may have happened. It certainly did
// not if nothing was sent, or if WeChat answered with an errcode.
package wechat
