package page

import (
	"fmt"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

var chinese = &words{
	tag: "zh-Hans", other: "en", toOther: "English",
	clock: func(t time.Time, layout string) string {
		return "北京时间 " + t.In(time.FixedZone("Asia/Shanghai", 8*60*60)).Format(layout)
	},
	units: status.Units{"天", "小时", "分钟", "秒"}, comma: "，", stop: "。",
	health: map[status.Health]string{
		status.Unavailable: "异常", status.Failing: "续期失败", status.Starting: "启动中", status.OK: "正常",
	},
	headline: chineseHeadline,
	hint:     func(h hint.Hint) string { return h.Chinese },

	memcachedUp: "memcached 正常", memcachedOff: "没有使用 memcached，token 只在本进程中", memcachedNote: "在此期间由 sidecar 从内存提供 token。", mirrorUp: "镜像正常",
	noAccount: "请设置 WECHAT_APPID，或在 WECHAT_ACCOUNTS_DIR 中放入账号文件。",
	inDoubt:   "存疑：有一次请求没有收到应答，微信可能已签发另一个 token，因此将提前续期。",

	docs: repository + "docs/zh/operations.md", more: "查看文档",
	anchors: anchors{outage: "#故障时会怎样", errcodes: "#微信返回给-sidecar-的-errcode", inApps: "#程序遇到的-errcode", notes: "#探针", mirror: "#故障时会怎样"},
	legend:  legend{age: "已使用", due: "下次续期", reserve: "续期失败时的余量，直到过期"},

	age: "已使用", left: "剩余有效期", renewal: "下次续期", by: "续期实例", today: "今日", published: "memcached 中",
	yes: "有", missing: "上次轮询时没有", unnamed: "未命名",
	counted: "微信统计", external: "其他程序获取", uncounted: "该账号没有统计", unknown: "未知",

	memcachedDown: func(since string) string { return "memcached 已故障 " + since },
	mirrorDown:    func(since string) string { return "镜像已故障 " + since },
	in:            func(span string) string { return span + "后" },
	overdue:       func(span string) string { return "已逾期 " + span },
	done: func(renewals, failures int) string {
		return fmt.Sprintf("续期 %d 次，失败 %d 次", renewals, failures)
	},
	used: func(used, limit int, ago string) string {
		return fmt.Sprintf("今日请求 %d 次，上限 %d 次（%s前）", used, limit, ago)
	},
	fetched: func(n int, span string) string { return fmt.Sprintf("%s内 %d 次", span, n) },
	failing: func(span, since string) string { return "自" + since + " 起失败，已持续 " + span + "。" },
	tried: func(ago, retry string) string {
		if retry == "" {
			return "上次尝试在 " + ago + "前，正在重试。"
		}
		return "上次尝试在 " + ago + "前，" + retry + "后重试。"
	},
	served: func(kind, left string) string {
		if left == "" {
			return "程序取不到 " + kind + "，会收到错误。"
		}
		return "程序不受影响：当前 " + kind + " 还有 " + left + "有效。"
	},
	reported: func(kind string) string {
		return "程序可能收到错误：有程序上报当前 " + kind + " 被微信拒绝，但现在还不允许续期。"
	},
	life: func(age, whole, due string) string {
		return "有效期共 " + whole + "，已过 " + age + "，签发 " + due + "后续期"
	},
	hidden: func(t tally) string {
		return fmt.Sprintf("另有 %d 个未显示，其中 %d 个异常，%d 个续期失败，%d 个启动中。全部内容见",
			t.all, t.unavailable, t.failing, t.starting)
	},
	uptime: func(span string) string { return "已运行 " + span + "，每 10 秒刷新" },
}

func chineseHeadline(t tally) string {
	some := func(n int, what string) string {
		switch {
		case t.all == 1:
			return "账号" + what
		case n == t.all:
			return fmt.Sprintf("%d 个账号全部%s", n, what)
		}
		return fmt.Sprintf("%d 个账号中有 %d 个%s", t.all, n, what)
	}
	switch {
	case t.all == 0:
		return "没有账号"
	case t.unavailable > 0:
		return some(t.unavailable, "异常")
	case t.failing > 0:
		return some(t.failing, "续期失败")
	case t.starting > 0:
		return some(t.starting, "启动中")
	}
	return some(t.all, "正常")
}
