// Package sdktest has only tests. They run the SDKs that WeChat developers use, and
// other programs that read tokens, beside a real sidecar, a real memcached and a fake
// WeChat over https. It is a module of its own, so that users of the client do not
// depend on the SDKs.
//
// Every program has its own endpoint of WeChat, which counts its requests: see
// endpoint_test.go. Each test asks the same: did the program request a token from
// WeChat, and did WeChat refuse a token that it used?
//
// The module proxy does not have PowerWeChat v3 ("This module version is not
// available"), so powerwechat_test.go has the part of it that uses tokens.
package sdktest
