package hint

import "fmt"

// Where the AppSecret and the whitelist of an account are, as WeChat's pages said in
// 2026-11: developers.weixin.qq.com/doc/oplatform/developers/dev/api.
const (
	settings = "of an official account at WeChat Developer Platform (developers.weixin.qq.com/platform) → My Business → Basic Information; " +
		"of a mini program at mp.weixin.qq.com → Development Management → Development Settings"
	chineseSettings = "公众号、服务号：微信开发者平台（developers.weixin.qq.com/platform）→ 我的业务 → 基础信息；" +
		"小程序：微信公众平台（mp.weixin.qq.com）→ 开发管理 → 开发设置"
)

// Hints for WeChat's errcodes. Package wechat says which errcode has which.
var (
	Busy     = Hint{"WeChat is busy: nothing to do, the request is repeated", "微信系统繁忙：无需处理，将自动重试。"}
	Internal = Hint{"an error within WeChat: nothing to do, the request is repeated", "微信内部错误：无需处理，将自动重试。"}
	Account  = Hint{"check AppID and AppSecret, " + settings, "请核对该账号的 AppID 和 AppSecret。" + chineseSettings + "。"}
	Defect   = Hint{
		"WeChat did not understand the request: report it as a fault of wxsidecar, with the rid",
		"微信无法识别该请求：这是 wxsidecar 的缺陷，请附上 rid 反馈。",
	}
	Frozen = Hint{
		"the AppSecret is frozen: unfreeze it, " + settings + "; it takes effect after 10 min",
		"AppSecret 已被冻结，请解冻，10 分钟后生效。" + chineseSettings + "。",
	}
	NoPermission = Hint{
		"the account may not use this API: see its permissions at mp.weixin.qq.com",
		"该账号没有此接口的权限，请在微信公众平台（mp.weixin.qq.com）查看接口权限。",
	}
	NoResets = Hint{
		"this month's ten resets of the account's quotas are used up: wait until midnight in Beijing, and find what else requests tokens for this AppID",
		"该账号本月的 10 次清零机会已用完：请等到北京时间零点，并找出还有哪个程序在用此 AppID 获取 token。",
	}
	Barred    = Hint{"the account is barred from this API: see its notices at mp.weixin.qq.com", "该账号被禁止使用此接口，请查看微信公众平台（mp.weixin.qq.com）的通知。"}
	Cancelled = Hint{"the account is cancelled: see its notices at mp.weixin.qq.com", "该账号已注销，请查看微信公众平台（mp.weixin.qq.com）的通知。"}
	Confirm   = Hint{
		"an administrator of the account must confirm this server's address: WeChat sent a message to their phone",
		"请该账号的管理员确认本服务器的 IP：微信已向其手机发送确认消息。",
	}
	DeclinedTwice = Hint{
		"the administrator declined this server's address twice: ask them; WeChat asks again after 24 h",
		"管理员已两次拒绝本服务器的 IP，请与其沟通；24 小时后微信会再次询问。",
	}
	Declined = Hint{
		"the administrator declined this server's address: ask them; WeChat asks again after 1 h",
		"管理员已拒绝本服务器的 IP，请与其沟通；1 小时后微信会再次询问。",
	}
	DayQuota = Hint{
		"the day's quota is used up: find what else requests tokens for this AppID; the command sidecar quota clear resets the quota, ten times a month",
		"当日调用次数已用完：请找出还有哪个程序在用此 AppID 获取 token。可用命令 sidecar quota clear 清零，每月共 10 次。",
	}
	MinuteQuota = Hint{
		"too many requests in this minute: find what else requests tokens for this AppID",
		"本分钟调用过于频繁：请找出还有哪个程序在用此 AppID 获取 token。",
	}
	WrongEndpoint = Hint{
		"a request with the AppSecret was answered as if it had a token: check WECHAT_BASE_URL, and any proxy or gateway in between",
		"凭 AppSecret 的请求得到了针对 token 的应答：请检查 WECHAT_BASE_URL，以及中间的代理或网关。",
	}
	InvalidToken = Hint{"renew the access_token and repeat the request once", "请更新 access_token，然后重试一次。"}
)

// Whitelist is for errcode 40164. address is what WeChat saw; it may be empty.
func Whitelist(address string) Hint {
	english, chinese := egress(address)
	return Hint{
		"add " + english + " to the account's IP whitelist, " + settings +
			"; it covers every server API of an official account, and those that take the AppSecret of a mini program, which has ten entries",
		"请将" + chinese + "加入该账号的 IP 白名单。" + chineseSettings + "。公众号、服务号的所有服务端接口都受白名单限制；" +
			"小程序只限制使用 AppSecret 的接口，最多 10 条。",
	}
}

// PlatformWhitelist is the same for errcode 61004.
func PlatformWhitelist(address string) Hint {
	english, chinese := egress(address)
	return Hint{
		"add " + english + " to the platform's IP whitelist: open.weixin.qq.com",
		"请将" + chinese + "加入第三方平台的 IP 白名单：微信开放平台（open.weixin.qq.com）。",
	}
}

func egress(address string) (english, chinese string) {
	if address == "" {
		return "the address WeChat saw", "微信看到的出口 IP "
	}
	return "the address " + address, "出口 IP " + address + " "
}

// UnknownCode is for an errcode that package wechat does not know.
func UnknownCode(code int) Hint {
	return Hint{fmt.Sprintf("look up errcode %d in WeChat's documentation", code), fmt.Sprintf("请在微信官方文档中查询错误码 %d。", code)}
}

// Hints for requests to WeChat that have no errcode.
var (
	Unanswered = Hint{
		"check the path to WeChat (proxy, gateway, WECHAT_BASE_URL); the request is repeated",
		"请检查到微信之间的链路（代理、网关、WECHAT_BASE_URL）；将自动重试。",
	}
	Empty = Hint{
		"check AppID and AppSecret: WeChat has answered wrong ones with nothing; or else the path to WeChat (proxy, gateway, WECHAT_BASE_URL)",
		"请核对 AppID 和 AppSecret：二者有误时微信曾返回空应答；否则请检查到微信之间的链路（代理、网关、WECHAT_BASE_URL）。",
	}
	NoSecret = Hint{"give the account's AppSecret", "请提供该账号的 AppSecret。"}
)

// Unreached is for hosts that cannot be reached.
func Unreached(hosts string) Hint {
	return Hint{
		"check DNS and the network path to " + hosts + " (HTTPS_PROXY, network policy, WECHAT_BASE_URL); the request is repeated",
		"请检查 DNS 和到 " + hosts + " 的出网通路（HTTPS_PROXY、网络策略、WECHAT_BASE_URL）；将自动重试。",
	}
}

// Certificate is for hosts with a certificate that this process does not accept.
func Certificate(hosts string) Hint {
	return Hint{
		"the certificate of " + hosts + " is not accepted: check this machine's clock and its CAs (the CA of a proxy that inspects TLS goes into the folder of SSL_CERT_DIR), " +
			"and the host in WECHAT_BASE_URL; the request is repeated",
		hosts + " 的证书未通过验证：请检查本机时钟、CA 证书（代理会解密 TLS 时，将它的 CA 放入 SSL_CERT_DIR 目录）和 WECHAT_BASE_URL 中的主机；将自动重试。",
	}
}
