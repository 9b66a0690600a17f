package hint

import (
	"fmt"
	"strings"
)

// Note is a fact about the set-up that a person should know, although it does not make a
// credential fail by itself. It contains no secret.
type Note struct {
	Code string `json:"code"` // never changes, unlike the words
	Text Hint   `json:"text"` // what was found
	Hint Hint   `json:"hint"` // what to do
}

// Unstored is for a memcached that answers, and failed to store something of an account.
func Unstored(appID string, err error) Note {
	return Note{
		"memcached_write_failed",
		Hint{
			"memcached answers but the last write for " + appID + " failed: " + err.Error() + "; apps may have to ask their sidecars",
			"memcached 有应答，但最近一次为 " + appID + " 写入失败：" + err.Error() + "；程序可能要改问 sidecar。",
		},
		Memcached(err),
	}
}

// SeveralAddresses is for a server of memcached whose name has several addresses.
func SeveralAddresses(server string, addresses []string) Note {
	return Note{
		"memcached_addresses",
		Hint{
			fmt.Sprintf("the memcached server %s has %d addresses: %s", server, len(addresses), strings.Join(addresses, ", ")),
			fmt.Sprintf("memcached 服务器 %s 解析到 %d 个地址：%s。", server, len(addresses), strings.Join(addresses, "，")),
		},
		Hint{
			"sidecars and apps can use different servers, and apps then read invalid tokens: " +
				"use a Service with a ClusterIP and one pod, or name each pod in MEMCACHED_SERVERS, of sidecars and apps",
			"sidecar 和应用可能连到不同的 memcached，应用会读到已失效的 token：" +
				"请使用带 ClusterIP 且只有一个 Pod 的 Service，或在 sidecar 和应用的 MEMCACHED_SERVERS 中写出每个 Pod。",
		},
	}
}
