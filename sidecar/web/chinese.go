package web

import (
	"fmt"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

var chinese = &words{
	tag: "zh-Hans", name: "zh", other: "en", toOther: "English",
	clock: func(t time.Time) string {
		return "北京时间 " + t.In(time.FixedZone("Asia/Shanghai", 8*60*60)).Format(time.TimeOnly)
	},
	units: [4]string{"天", "小时", "分钟", "秒"}, comma: "，", stop: "。",
	health: map[Health]string{Ill: "异常", Failing: "续期失败", Starting: "启动中", OK: "正常"},
	headline: func(t tally) string {
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
		case t.ill > 0:
			return some(t.ill, "异常")
		case t.failing > 0:
			return some(t.failing, "续期失败")
		case t.starting > 0:
			return some(t.starting, "启动中")
		}
		return some(t.all, "正常")
	},
	hint:          chineseHint,
	memcachedUp:   "memcached 正常",
	memcachedHint: "请检查 MEMCACHED_SERVERS，并确认 memcached 正在运行。在此期间由 sidecar 从内存提供 token。",
	mirrorUp:      "镜像正常",
	mirrorHint:    chineseMirrorHint,
	noAccount:     "请设置 WECHAT_APPID，或在 WECHAT_ACCOUNTS_DIR 中放入账号文件。",
	doubtful:      "有一次调用没有收到应答，微信可能已签发另一个 token，因此将提前续期。",

	age: "已使用", left: "剩余有效期", renewal: "下次续期", by: "续期实例", today: "今日", held: "memcached 中",
	yes: "有", notHeld: "上次检查时没有", nobody: "未命名",

	memcachedDown: func(since string) string { return "memcached 已故障 " + since },
	mirrorDown:    func(since string) string { return "镜像已故障 " + since },
	in:            func(span string) string { return span + "后" },
	overdue:       func(span string) string { return "已逾期 " + span },
	done: func(renewals, failures int) string {
		return fmt.Sprintf("续期 %d 次，失败 %d 次", renewals, failures)
	},
	failed: func(ago, retry string) string {
		if retry == "" {
			return ago + "前失败，正在重试。"
		}
		return ago + "前失败，" + retry + "后重试。"
	},
	life: func(age, whole, due string) string {
		return "有效期：共 " + whole + "，已过 " + age + "，签发 " + due + "后续期"
	},
	more: func(t tally) string {
		return fmt.Sprintf("另有 %d 个未显示，其中 %d 个异常，%d 个续期失败，%d 个启动中。全部内容见",
			t.all, t.ill, t.failing, t.starting)
	},
	footer: func(up string) string { return "已运行 " + up + "，每 10 秒刷新" },
}

// Where the account's settings are, as mp.weixin.qq.com calls it.
const (
	settings       = "微信公众平台（mp.weixin.qq.com）→ 设置与开发 → 基本配置"
	chineseAccount = "请核对该账号的 AppID 和 AppSecret：" + settings + "。"
	chineseDefect  = "微信无法识别该请求：这是 wxsidecar 的缺陷，请附上 rid 反馈。"
	chineseRefused = "请更新 access_token，然后重试一次。"
	chineseAdmin   = "请该账号的管理员确认本服务器的 IP：微信已向其手机发送确认消息。"
	// theAddress stands for the address that WeChat saw.
	theAddress = "微信看到的出口 IP"
)

// chineseHints say what to do about each errcode that package wechat knows.
var chineseHints = map[int]string{
	-1:    "微信系统繁忙：无需处理，将自动重试。",
	40001: chineseAccount,
	40013: chineseAccount,
	40125: chineseAccount,
	40002: chineseDefect,
	41002: chineseDefect,
	41004: chineseDefect,
	43001: chineseDefect,
	43002: chineseDefect,
	47001: chineseDefect,
	40164: "请将" + theAddress + "加入该账号的 IP 白名单：" + settings + "。",
	61004: "请将" + theAddress + "加入第三方平台的 IP 白名单：微信开放平台（open.weixin.qq.com）。",
	40243: "AppSecret 已被冻结，请解冻：" + settings + "。",
	48001: "该账号没有此接口的权限，请在微信公众平台（mp.weixin.qq.com）查看接口权限。",
	50004: "该账号被禁止使用此接口，请查看微信公众平台（mp.weixin.qq.com）的通知。",
	50007: "该账号已注销，请查看微信公众平台（mp.weixin.qq.com）的通知。",
	89501: chineseAdmin,
	89503: chineseAdmin,
	89506: "管理员已两次拒绝本服务器的 IP：24 小时后微信会再次询问，请与管理员沟通。",
	89507: "管理员已拒绝本服务器的 IP：1 小时后微信会再次询问，请与管理员沟通。",
	45009: "当日调用次数已用完：请找出还有谁在用此 AppID 获取 token，或调用一次 POST /cgi-bin/clear_quota 清零。",
	45011: "本分钟调用过于频繁：请找出还有谁在用此 AppID 获取 token。",
	40014: chineseRefused,
	41001: chineseRefused,
	42001: chineseRefused,
}

const chineseStranger = "有其他程序、环境或键前缀在用此 AppID 获取 token：请让它改用 wxsidecar，或在各处都设置 WECHAT_TOKEN_API=stable_token。"

// chineseOwn are the hints that have no errcode of WeChat's, by their beginning
// in English.
var chineseOwn = []struct{ english, chinese string }{
	{"check DNS and the way out", "请检查 DNS、出网通路（HTTPS_PROXY、网络策略）和 WECHAT_BASE_URL；将自动重试。"},
	{"check what stands between here and WeChat", "请检查到微信之间的链路（代理、网关、WECHAT_BASE_URL）；将自动重试。"},
	{"check MEMCACHED_SERVERS", "请检查 MEMCACHED_SERVERS，并确认 memcached 正在运行。"},
	{"check WECHAT_APPSECRET_FILE", "请检查 WECHAT_APPSECRET_FILE，或 WECHAT_ACCOUNTS_DIR 中该账号的文件。"},
	{"another program, environment or key prefix", chineseStranger},
	{"report a token once", "同一 token 只需上报一次；如果每个新 token 都被拒绝：" + chineseStranger},
	{"look at the logs of the other sidecars", "请查看其他 sidecar 的日志；租约是 memcached 中以 :lease 结尾的键。"},
	{"was it really refused", "请确认该 token 确实被微信以 40001、40014 或 42001 拒绝。"},
	{"look whether another program fetches tokens or tickets", "请查看是否有其他程序在用此 AppID 获取 token 或 ticket，让它改用 wxsidecar。"},
	{"a fault of the calling program", "这是 wxsidecar 的缺陷，请反馈。"},
	{"an error within WeChat", "微信内部错误：无需处理，将自动重试。"},
}

// chineseHint says what to do in Chinese; what has no Chinese text stays as it is.
func chineseHint(e *keeper.Error) string {
	for _, own := range chineseOwn {
		if strings.HasPrefix(e.Hint, own.english) {
			return own.chinese
		}
	}
	if e.Hint != wechat.Hint(e.Code, e.Message) {
		return sentence(e.Hint)
	}
	hint, ok := chineseHints[e.Code]
	if !ok {
		return fmt.Sprintf("请在微信官方文档中查询错误码 %d。", e.Code)
	}
	if ip := wechat.EgressIP(e.Code, e.Message); ip != "" {
		hint = strings.Replace(hint, theAddress, "出口 IP "+ip+" ", 1)
	}
	return hint
}
