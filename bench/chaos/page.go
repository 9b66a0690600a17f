package main

import (
	"fmt"
	"strings"
)

// page is the page of a run.
func (f *findings) page(in language) string {
	var text strings.Builder
	say := func(w words) { text.WriteString(in.of(w)) }
	say(head)
	say(f.about)
	say(words{".\n\n", "。\n\n"})
	table(&text, in, rowHead, len(f.lines), func(i int) []string { return f.lines[i].cells(in) })
	if len(f.clocks) > 0 {
		say(clocksHead)
		table(&text, in, clockHead, len(f.clocks), func(i int) []string { return f.clocks[i].cells(in) })
	}
	if len(f.flat) > 0 {
		say(flatsHead)
		table(&text, in, flatHead, len(f.flat), func(i int) []string { return f.flat[i].cells() })
	}
	say(words{"\n## All together\n\n", "\n<a id=\"all-together\"></a>\n## 合计\n\n"})
	for _, t := range f.totals {
		value := fmt.Sprint(t.value)
		if w, ok := t.value.(words); ok {
			value = in.of(w)
		}
		fmt.Fprintf(&text, "* %s%s%s\n", in.of(t.what), in.of(words{": ", "："}), value)
	}
	for _, r := range f.reason {
		fmt.Fprintf(&text, "  * %d × %s\n", r.n, in.of(r.why))
	}
	return text.String()
}

// table is a table of Markdown.
func table(to *strings.Builder, in language, head []words, rows int, cells func(i int) []string) {
	names := make([]string, len(head))
	for i, w := range head {
		names[i] = in.of(w)
	}
	fmt.Fprintf(to, "| %s |\n%s|\n", strings.Join(names, " | "), strings.Repeat("|---", len(head)))
	for i := range rows {
		fmt.Fprintf(to, "| %s |\n", strings.Join(cells(i), " | "))
	}
}

var rowHead = []words{
	{"fault", "故障"},
	{"attacks", "针对"},
	{"times", "次数"},
	{"reads", "读取"},
	{"dead", "失效"},
	{"failed", "失败"},
	{"calls beyond one per renewal", "超出“每次续期一次”的调用"},
	{"no entry for", "缺条目时长"},
	{"healed after", "恢复用时"},
	{"longest read", "最长一次读取"},
}

var head = words{
	`**English** | [简体中文](chaos.zh-CN.md)

# The sidecars under every fault

Written by ` + "`make chaos`" + ` in one run; [bench/chaos](../bench/chaos/main.go) says how it judges. It fails where a promise is broken, where a call to WeChat is beyond one per
renewal and nothing explains it, or where a sidecar has grown. Accounts share what happens to their sidecars, so each row of a step or of a wrong answer
counts the one account that it befell; what the other accounts' readers read meanwhile stands in no row, so the rows' reads are fewer than all
together.

* **dead**: tokens that WeChat refused in the moment of the read; **failed**: reads that brought none.
* **no entry for**: the longest time that memcached held no token of some account.
* **healed after**: from the end of the fault until the last token that WeChat issued lies in memcached for each account, and every sidecar is ready. For a
  step or a wrong answer: from the moment itself, for its account. The next fault waits until every sidecar remembers those tokens too, a look later.

`,
	`[English](chaos.md) | **简体中文**

<a id="the-sidecars-under-every-fault"></a>
# 各种故障之下的 sidecar

由 ` + "`make chaos`" + ` 在一次运行中写出；如何判定见 [bench/chaos](../bench/chaos/main.go)。只要有一条承诺被破坏、有一次超出“每次续期一次”的调用无法解释、或者有一个 sidecar 的占用增长了，它就以失败结束。账号共享其 sidecar 的遭遇，因此续期步骤和错误应答的每一行只统计遭遇它的那个账号；其间其他账号的读取不在任何一行里，所以各行读取之和小于合计。

* **失效**：读取的那一刻微信不接受的 token；**失败**：没有读到 token 的读取。
* **缺条目时长**：memcached 里缺某个账号的 token 的最长时间。
* **恢复用时**：从故障结束，到每个账号在 memcached 里都是微信最后签发的 token、每个 sidecar 都就绪为止。续期步骤和错误应答则从那一刻算起，只看那个账号。下一个故障要等到每个 sidecar 也都记得这些 token，即再查看一次之后。

`,
}

var clocksHead = words{
	`
## Wall clocks that jump

In virtual time, with five sidecars and ten readers: 100 minutes after the start the wall clocks jump, and back after three hours. Printed by
` + "`go test ./sidecar/keeper -run TestAWallClockThatJumps -v`" + `, which ` + "`make chaos`" + ` runs too.

`,
	`
<a id="wall-clocks-that-jump"></a>
## 墙上时钟跳变

在虚拟时间里，五个 sidecar，十个读取者：启动 100 分钟后墙上时钟跳变，三小时后跳回。由 ` + "`go test ./sidecar/keeper -run TestAWallClockThatJumps -v`" + ` 打印，` + "`make chaos`" + ` 也会运行它。

`,
}

var flatsHead = words{
	`
## What the sidecars hold

The least within 70 s, at the beginning and at the end: after all faults but those that kill sidecars, which come last. In between a sidecar holds
more, above all connections to memcached while many accounts are renewed; what is leaked would stay. One has grown that holds 4 more descriptors, 5 more
goroutines or over 1 MiB more of heap, or more private memory than the 16 MiB that the manifests request.

`,
	`
<a id="what-the-sidecars-hold"></a>
## sidecar 占用多少

70 秒之内的最小值，开始时和结束时：结束时经历了全部故障，只差杀掉 sidecar 的那些，它们排在最后。其间 sidecar 会占用更多，主要是很多账号续期时到 memcached 的连接；泄漏的则会一直留着。多出 4 个描述符、5 个 goroutine 或超过 1 MiB 的堆，或者私有内存超过清单所请求的 16 MiB，就算占用增长。

`,
}
