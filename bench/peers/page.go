package main

import (
	"fmt"
	"io"
	"runtime"
)

// writePage writes the page on which the whole of a run can be read.
func writePage(w io.Writer, r result) error {
	if _, err := fmt.Fprintf(w, pageHead, r.Workers, runtime.NumCPU()); err != nil {
		return err
	}
	if err := writeSituations(w, r, ""); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "All five together, with %d pods:\n\n", r.Pods[len(r.Pods)-1]); err != nil {
		return err
	}
	if err := writeSummary(w, r); err != nil {
		return err
	}
	_, err := io.WriteString(w, pageFoot)
	return err
}

const pageHead = `**English** | [简体中文](peers.zh-CN.md)

# wxsidecar beside its peers

Written by ` + "`make bench-peers`" + ` (about ten minutes; needs Linux, Go, memcached and PHP, which ` + "`make setup`" + ` installs). All figures
are of one run. Three each: 1 · 4 · 16 pods, of %d workers each.

![Calls to WeChat and dead tokens, in five situations](peers.svg)

* **calls to WeChat**: for a credential, counted by WeChat. Its API allows 2,000 a day.
* **dead tokens**: a worker asks for a token, calls an API of WeChat's with it at once, and WeChat refuses the token.
* **errors**: a worker asked for a token and was given none.
* **worst wait**: the longest that any worker waited for its token. All pods, WeChat and memcached share one machine of %d cores: take it for
  an order of magnitude. How often workers ask follows the machine too, and with it the calls of who fetches at every ask.

`

const pageFoot = `
## Who is measured, and how

Each as its own documentation has it, with its own defaults:

* **PHP class (rebuilt)**: how the well-known class keeps a token in its memcache variant: ` + "`get`" + ` the AppID, fetch where there is nothing, ` + "`set`" + `
  for 3600 s. Written for this bench ([worker.php](../bench/peers/worker/worker.php)), run by real PHP with ext-memcache, a process for each worker. As in
  PHP-FPM each request connects anew.
* **silenceper/wechat** v2.1.13 with its cache for memcached, one ` + "`OfficialAccount`" + ` in each process. While memcached is down it fetches
  at every ask, and returns the token together with the error of its cache; the SDK's own calls take that for a failure, and so does the worker.
  **UseStableAK** is its switch for stable_token.
* **chanxuehong/wechat** at 3ccc67d5e12d, its ` + "`DefaultAccessTokenServer`" + ` in each process. Its documentation says that a whole system may
  have only one: with one pod it is used as meant, and does well. With more it shows what happens where that is overlooked.
* **bare stable_token**: a fetch in each process, kept there until a second before expires_in is over, one fetch at a time. It asks once more where
  WeChat refused its token. It needs neither memcached nor a sidecar; its price is the AppSecret in every process, and a call for each of them.
* **wxsidecar**: a sidecar in every pod and the Go client in its workers, with WeChat's classic API and with stable_token.

A worker asks ten times a second, and repeats a call whose token was refused once, where its contestant has a way to say so (chanxuehong, bare,
wxsidecar). The PHP class and silenceper/wechat have none: after a rejection they give the dead token until their entry lapses, up to 3,600 s, 5,700 s
and 6,900 s.

WeChat is a fake over https ([wechattest](../sidecar/wechat/wechattest)) that answers each credential call after 80 ms and keeps WeChat's rules: a token
lives 7,200 s; a call to the classic API ends the token before in 300 s, and the one before that at once; stable_token gives the same token until fewer
than 300 s are left. Its quotas are lifted: whoever is refused for his quota would look better than he is. memcached is a real one. The SDKs call
https://api.weixin.qq.com; their processes dial the fake for that name and check its certificate.

* **cold start**: nothing is there, and the workers of all pods begin within 100 ms. Where there is a sidecar, its start up to its startup probe
  counts as a worker's wait.
* **one renewal**: by the contestant's own rule. Who keeps time in memcached has tokens of 7,200 s; memcached's ` + "`touch`" + ` brings the entry into the
  state in which it is two seconds before its end, WeChat's clock is put forward by as much, and memcached ends it. Who keeps time in the process is
  given a first token with a short life, since its clock cannot be put forward (chanxuehong 61 s, its shortest, which it renews after 51 s; bare 12 s, after
  11 s; wxsidecar 12 s, after 6 s); the next one lives 7,200 s. A fleet of chanxuehong that is at war with itself renews all the time.
* **a rejected token**: somebody else who knows the AppSecret fetches, by force where it is stable_token. WeChat tells nobody: each worker
  learns it from the first refusal, or from another worker's.
* **memcached restarted**: killed, started again, empty. **memcached down**: killed.

Workers work for 2.5 s in a situation (5.5 s in the renewal), and then for one more second after WeChat's clock was put forward by five minutes, by when a
token that lived on in its 300 s is dead. Calls of both count. The fleets are fresh for the renewal; the other situations follow each other in one
fleet, the rejected token last.

What is chance in it: where several fetch at once, the one who writes to memcached last decides whether the entry holds a living token for its
whole life, or a dead one. The same fleet may be lucky in one situation and unlucky in the next. silenceper's UseStableAK caches a token for
expires_in less 300 s, and asks again when 300 s are left: a fraction of a second earlier WeChat still gives the same token, which is then cached for 0 s,
in memcached without an end.

What wxsidecar costs beyond: a process in every pod. With stable_token a fleet asks WeChat three times for each token, since it renews ahead of the
entry's end and is given the same token twice; bare stable_token asks once in each process, which is less with one or two of them.
`
