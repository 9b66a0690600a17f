package hint

// Hints for a sidecar without the AppSecret, which asks an upstream.
var (
	Upstream = Hint{
		"this is the answer of the sidecar that SIDECAR_UPSTREAM names: see its log and its /readyz",
		"这是 SIDECAR_UPSTREAM 所指 sidecar 的应答：请查看它的日志和 /readyz。",
	}
	UpstreamSilent = Hint{
		"the sidecar that SIDECAR_UPSTREAM names does not answer: check that it runs, its address, and the NetworkPolicies of both namespaces",
		"SIDECAR_UPSTREAM 所指的 sidecar 没有应答：请确认它正在运行，并检查地址和两个命名空间的网络策略。",
	}
	UpstreamBearer = Hint{
		"the token in SIDECAR_UPSTREAM_TOKEN_FILE must be one of the upstream's SIDECAR_AUTH_TOKEN_FILE; one in SIDECAR_READER_TOKEN_FILE, of the upstream's file of that name",
		"SIDECAR_UPSTREAM_TOKEN_FILE 中的 token 必须在上游的 SIDECAR_AUTH_TOKEN_FILE 中；SIDECAR_READER_TOKEN_FILE 中的必须在上游的同名文件中。",
	}
	UpstreamAccount = Hint{
		"the upstream does not have this: add the account, the ticket in WECHAT_TICKETS, or SIDECAR_LOGIN=true to the sidecar that SIDECAR_UPSTREAM names",
		"上游没有提供它：请在 SIDECAR_UPSTREAM 所指的 sidecar 上添加该账号，在其 WECHAT_TICKETS 中添加该 ticket，或设置 SIDECAR_LOGIN=true。",
	}
	UpstreamTLS = Hint{
		"the certificate of SIDECAR_UPSTREAM is not accepted: check SIDECAR_CA_FILE, the name in the URL, and this machine's clock",
		"SIDECAR_UPSTREAM 的证书未通过验证：请检查 SIDECAR_CA_FILE、URL 中的名称和本机时钟。",
	}
	UpstreamAddress = Hint{
		"check SIDECAR_UPSTREAM: what answers there is no sidecar of this version",
		"请检查 SIDECAR_UPSTREAM：那里应答的不是此版本的 sidecar。",
	}
	UpstreamUnreached = Hint{
		"an ingress, a proxy or a mesh in front of SIDECAR_UPSTREAM answered, and not the upstream: check that the upstream runs and that its Service has endpoints, " +
			"then the log of what is in front of it",
		"应答的是 SIDECAR_UPSTREAM 前面的 Ingress、代理或服务网格，而不是上游本身：请确认上游正在运行、其 Service 有 endpoints，再查看前面这一层的日志。",
	}
	ReadOnly = Hint{
		"report the token to the sidecar with the AppSecret, or give this one SIDECAR_UPSTREAM_TOKEN_FILE instead of SIDECAR_READER_TOKEN_FILE",
		"请向持有 AppSecret 的 sidecar 上报，或为此 sidecar 设置 SIDECAR_UPSTREAM_TOKEN_FILE 来代替 SIDECAR_READER_TOKEN_FILE。",
	}
)

// ReadsOnly is for a sidecar that may not report tokens to its upstream.
var ReadsOnly = Note{
	"read_only",
	Hint{
		"this sidecar is read-only: it reads from its upstream, and cannot have a refused token renewed",
		"此 sidecar 为只读：它从上游读取，不能触发续期。",
	},
	ReadOnly,
}
