// Command peers measures wxsidecar beside what teams use today: fleets of 1, 4 and
// 16 pods with four workers each, through a cold start, a renewal, a rejected
// token, a restart of memcached and its absence. It counts what the project is
// about: calls to WeChat, dead tokens that a worker was given, errors, and how long
// a worker waited.
//
//	go run .                              all of it: about ten minutes, at most 15
//	go run . -docs ../../docs             and writes the tables of benchmarks.md and its chart
//	go run . -keep figures.json           and keeps the figures
//	go run . -draw figures.json           measures nothing: the documents anew, from kept figures
//	go run . -only stable                 the contestants whose names contain this
//
// # Fairness
//
// What was decided for whose sake stands in page.go, which writes it under the
// tables: every reader of the figures sees it. In short:
//
//   - Each contestant is used as its documentation says, with its own defaults.
//     SDKs run unchanged: their processes reach the fake because
//     http.DefaultTransport (curl, in PHP) dials another address for
//     api.weixin.qq.com, whose certificate is checked as ever.
//   - Everything runs on WeChat's own figures, 7,200 s and 300 s, but for the first
//     token of the renewal where a contestant keeps time in its own process. Time
//     that must pass in memcached passes by its touch command, in WeChat by its
//     clock.
//   - Dead is what WeChat says when the worker uses the token, not what the bench
//     thinks of it.
//   - A fleet has a WeChat and a memcached of its own, and one fleet acts at a time.
//   - Where a rule of the bench favours somebody, it is not us: the quotas are
//     lifted, calls skipped with the clock are not counted, a sidecar's start counts
//     as a wait.
//
// It needs Linux, where all of 127.0.0.0/8 is there: see address.go.
package main
