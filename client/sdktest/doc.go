// Package sdktest has no code, only tests: the SDKs that WeChat developers use,
// and programs of the kinds that read tokens today, each beside a real sidecar, a
// real memcached and a fake WeChat over https. It is a module of its own, so that
// the SDKs reach nobody who uses the client.
//
// Every program has a door of its own to WeChat, which counts what that program
// asks for: see [door] in door_test.go. The question of each test is the same. Did
// it call WeChat for a token? Did WeChat ever refuse the token that it used?
//
// PowerWeChat v3 is not here: the module proxy does not have it ("This module
// version is not available"). What is known of its shape is kept in
// powerwechat_test.go.
package sdktest
