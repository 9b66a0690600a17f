// Package wechattest is a fake WeChat for tests and for the demo: it issues
// tokens, ends them as WeChat does, keeps quotas, fails on demand, and counts.
//
// What it keeps from the real one:
//
//   - GET /cgi-bin/token issues a new token at every call. The token before it
//     works for the grace (300 s) more, the one before that is dead at once.
//   - POST /cgi-bin/stable_token returns the same token with what is left of its
//     life until less than the grace remains, then a new one; the old one works
//     to its end. force_refresh brings a new one and kills the old one at once,
//     at least 30 s apart (sooner: the same token) and 20 times a day.
//   - The two never touch each other's tokens.
//   - Quotas per account: 2,000 classic and 500,000 stable calls a day (errcode
//     45009; days begin at midnight in Beijing), 10,000 stable calls a minute
//     (45011).
//   - GET /cgi-bin/ticket/getticket issues a new ticket for the account of a token
//     that works. A ticket works to its own end, whatever comes after it: WeChat
//     does not say that another one ends it. It has no quota here.
//   - Any other path under /cgi-bin/ is an API that takes ?access_token=… and
//     refuses it with 41001 (missing), 40014 (malformed), 42001 (expired) or
//     40001 (superseded or unknown). It answers "ok"; /cgi-bin/user/info answers
//     with the user that it was asked for.
//   - Errors come with HTTP 200 and carry a rid.
//
// It speaks HTTP: serve it with [Server.ListenTLS] or [Server.ListenHTTP], or,
// within testing/synctest, through [Server.Pipe]. It imports nothing of package
// testing, so that a program may link it.
//
// Every token and ticket contains the text "canarytoken": a test run's whole output can be
// searched for tokens that leaked.
package wechattest
