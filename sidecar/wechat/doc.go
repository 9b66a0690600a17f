// Package wechat asks WeChat for an access_token or a ticket and says exactly what
// an unsuccessful attempt may have done.
//
// # Promises
//
//   - A [Credential] is returned only for an answer that leaves no doubt: HTTP
//     200, a JSON object without an errcode, a usable token, and at least 10 s
//     of life.
//   - Every failure is an [*Error]. Its Class says how to go on, its Hint what a
//     person can do, and MayHaveIssued whether WeChat may have issued a token
//     that nobody holds.
//   - One call of [Client.Fetch] makes WeChat issue at most one credential: a request
//     of which one byte may have left is never sent again, neither by this
//     package nor by net/http, and a redirect is never followed.
//   - No AppSecret and no token stands in an error, however it is printed.
//
// # Protocol
//
// The classic API issues a new token at every call, and the token before it
// works for 300 s more:
//
//	GET /cgi-bin/token?grant_type=client_credential&appid=…&secret=…
//	→ {"access_token":"…","expires_in":7200}
//
// The stable API returns the same token with what is left of its life until
// fewer than 300 s remain, unless it is forced to refresh:
//
//	POST /cgi-bin/stable_token
//	{"grant_type":"client_credential","appid":"…","secret":"…","force_refresh":false}
//	→ {"access_token":"…","expires_in":5021}
//
// A ticket is fetched with the current token, and lives beside the one before it:
//
//	GET /cgi-bin/ticket/getticket?access_token=…&type=jsapi
//	→ {"errcode":0,"errmsg":"ok","ticket":"…","expires_in":7200}
//
// WeChat reports its errors with HTTP 200:
//
//	{"errcode":40164,"errmsg":"invalid ip 1.2.3.4 …, not in whitelist rid: 65f…"}
//
// # Why "may have issued" matters
//
// With the classic API a lost answer is not harmless:
//
//  1. A asks; WeChat issues token 2, which ends token 1's life in 300 s.
//  2. The answer is lost; A still holds token 1 and believes that it lives.
//  3. After 300 s every call with token 1 fails with errcode 40001.
//
// Whoever calls Fetch must therefore know whether step 1 may have happened. An
// attempt counts as harmless only where this is certain: nothing was sent, or
// WeChat answered with an errcode.
package wechat
