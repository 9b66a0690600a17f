// Package wechattest is a fake WeChat for tests and for the demo. It issues tokens, ends
// them as WeChat does, has quotas, fails on demand, and counts.
//
// It behaves like WeChat:
//
//   - GET /cgi-bin/token issues a new token at every request. The previous token
//     works for the grace period (300 s), and the one before that ends at once.
//   - POST /cgi-bin/stable_token returns the same token with its remaining lifetime
//     until less than the grace period remains. Then it returns a new one, and the
//     previous one works until it expires. force_refresh issues a new token and ends
//     the previous one at once. This works 20 times a day and at least 30 s apart:
//     an earlier request returns the same token.
//   - The two APIs never end each other's tokens.
//   - An account has 2,000 classic and 500,000 stable requests a day (errcode 45009;
//     days begin at midnight in Beijing), and 10,000 stable requests a minute (45011).
//   - GET /cgi-bin/ticket/getticket issues a new ticket for the account of a valid
//     token. A ticket works until it expires: WeChat does not say that another one
//     ends it. It has no quota here. After
//     SetSameTicket it returns the same one until that expires.
//   - POST /cgi-bin/openapi/quota/get tells the account of a valid token how often an API
//     was requested today: those that were answered with a token. WeChat does not say
//     whether it counts refused ones too. It accepts the paths of the two APIs for tokens
//     (76021), which begin with a slash (76003), and none with /sns/ (76022).
//   - POST /cgi-bin/clear_quota/v2 with appid and appsecret as JSON resets these counts, ten
//     times a month in Beijing (48006). WeChat's table of parameters has them in the body,
//     its example in the query. WeChat does not say when a month begins.
//   - GET /sns/jscode2session and GET /sns/oauth2/access_token exchange a user's code. Any
//     code works once for its AppID (40163), unless it contains "invalid" (40029).
//   - Any other path under /cgi-bin/ is an API with ?access_token=…. It answers "ok",
//     or refuses the token with 41001 (missing), 40014 (malformed), 42001 (expired) or
//     40001 (ended by a later token, or unknown). /cgi-bin/user/info answers with the
//     user of the request.
//   - Errors have HTTP 200 and a rid.
//
// Serve it with [Server.ListenTLS] or [Server.ListenHTTP], or, inside testing/synctest,
// with [Server.Pipe]. It does not import the package testing, so a program can link it.
//
// Every token and ticket contains the text "canarytoken", and so does all that a login
// returns, so that leaked tokens can be found in the output of a test run.
package wechattest
