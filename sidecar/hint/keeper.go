package hint

import "fmt"

// Hints for what keeps a credential from being renewed, WeChat apart.
var (
	memcachedUnreached = Hint{
		"check that memcached runs at the address in MEMCACHED_SERVERS; on Kubernetes: k8s/namespace brings both, kustomize's namePrefix renames " +
			`memcached and not the address, and the NetworkPolicy memcached admits only pods of its namespace with the label wxsidecar/reader: "true" ` +
			"and the labels that includeSelectors added to it",
		"请确认 memcached 正在 MEMCACHED_SERVERS 中的地址上运行。在 Kubernetes 上：k8s/namespace 会部署 memcached 并设置该地址；" +
			"kustomize 的 namePrefix 会改 memcached 的名称，但不会改地址；名为 memcached 的 NetworkPolicy 只放行同一命名空间中" +
			`带标签 wxsidecar/reader: "true"（以及 includeSelectors 给它加上的标签）的 Pod。`,
	}
	SecretFile = Hint{
		"correct WECHAT_APPSECRET_FILE, or the file of this account in WECHAT_ACCOUNTS_DIR: it has the AppSecret and nothing else, and the sidecar's user " +
			"can read it (on Kubernetes: defaultMode: 0444 of the Secret)",
		"请改正 WECHAT_APPSECRET_FILE，或 WECHAT_ACCOUNTS_DIR 中该账号的文件：内容只有 AppSecret，并且 sidecar 的用户可以读取（Kubernetes：Secret 的 defaultMode: 0444）。",
	}
	ExternalToken = Hint{
		"another program, environment or key prefix fetches tokens for this AppID: " +
			"point it at wxsidecar, or set WECHAT_TOKEN_API=stable_token on every side",
		"有其他程序、环境或键前缀在用此 AppID 获取 token：请让它改用 wxsidecar，或在各处都设置 WECHAT_TOKEN_API=stable_token。",
	}
	ExternalTicket = Hint{
		"check whether another program fetches tokens or tickets for this AppID: point it at wxsidecar",
		"请检查是否有其他程序在用此 AppID 获取 token 或 ticket，让它改用 wxsidecar。",
	}
	ReportOnce = Hint{
		"report a token once; if each new one is refused too, " + ExternalToken.English,
		"同一 token 只需上报一次；如果每个新 token 都被拒绝：" + ExternalToken.Chinese,
	}
	StillValid = Hint{
		"the refused request itself is at fault: check whether it has another access_token in its body, or one of the wrong kind; " +
			"or another program fetches tokens for this AppID",
		"被拒绝的请求本身有问题：请检查请求体中是否还有另一个 access_token，或 token 的类型是否正确；也可能有其他程序在用此 AppID 获取 token。",
	}
	OtherSidecars = Hint{
		"see the logs of the other sidecars; the lease is the AppID's key :lease in memcached",
		"请查看其他 sidecar 的日志；租约是 memcached 中以 :lease 结尾的键。",
	}
	UnknownForm = Hint{
		"apps ask the sidecar at every read, because they take this form for damage: report it as a fault of wxsidecar",
		"应用会把这种格式当作损坏的值，每次读取都改问 sidecar：请向 wxsidecar 反馈。",
	}
	NewerRecord  = Hint{"update this sidecar: memcached has records of a newer version", "请升级此 sidecar：memcached 中有更新版本写入的记录。"}
	UnknownAppID = Hint{"check WECHAT_APPID, or the names of the files in WECHAT_ACCOUNTS_DIR", "请检查 WECHAT_APPID，或 WECHAT_ACCOUNTS_DIR 中的文件名。"}
)

// NoTicket is for a ticket that is not configured; name is what WECHAT_TICKETS calls it.
func NoTicket(name, appID string) Hint {
	return Hint{
		fmt.Sprintf("add %[1]s to WECHAT_TICKETS, or %[2]s:%[1]s for this account alone", name, appID),
		fmt.Sprintf("请在 WECHAT_TICKETS 中加入 %[1]s，或只为此账号加入 %[2]s:%[1]s。", name, appID),
	}
}
