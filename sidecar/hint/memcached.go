package hint

import (
	"errors"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// memcached has the hints for failures of memcached with a known cause.
var memcached = []struct {
	cause error
	hint  Hint
}{
	{memcache.ErrUnauthenticated, Hint{
		"memcached demands a user and a password (-Y): set MEMCACHED_AUTH_FILE to a file with user:password",
		"memcached 要求用户名和密码（-Y）：请把 MEMCACHED_AUTH_FILE 设为内容是 user:password 的文件。",
	}},
	{memcache.ErrPassword, Hint{
		"memcached refuses the user or the password: write a line of memcached's own file (-Y) into the file of MEMCACHED_AUTH_FILE; it needs no restart",
		"memcached 拒绝了用户名或密码：请把 memcached 自己的密码文件（-Y）中的一行写入 MEMCACHED_AUTH_FILE 指向的文件，无需重启。",
	}},
	{memcache.ErrTLS, Hint{
		"the server demands TLS (memcached -Z): set MEMCACHED_TLS=true, and MEMCACHED_CA_FILE if a CA of your own signed its certificate",
		"服务器要求 TLS（memcached -Z）：请设置 MEMCACHED_TLS=true；证书由自有 CA 签发时，再设置 MEMCACHED_CA_FILE。",
	}},
	{memcache.ErrNoTLS, Hint{
		"the server does not use TLS: remove MEMCACHED_TLS, or run memcached with -Z; check the port in MEMCACHED_SERVERS",
		"服务器没有使用 TLS：请去掉 MEMCACHED_TLS，或让 memcached 以 -Z 运行；并检查 MEMCACHED_SERVERS 中的端口。",
	}},
	{memcache.ErrCA, Hint{
		"set MEMCACHED_CA_FILE to a file with the certificate of the CA that signed memcached's; a change of the file needs no restart",
		"请把 MEMCACHED_CA_FILE 设为签发 memcached 证书的 CA 的证书文件；修改该文件无需重启。",
	}},
	{memcache.ErrCertificateName, Hint{
		"use a name in MEMCACHED_SERVERS that memcached's certificate has, or issue a certificate for this name",
		"MEMCACHED_SERVERS 中的名称必须是 memcached 证书里的名称；否则请为该名称签发证书。",
	}},
	{memcache.ErrCertificate, Hint{
		"renew memcached's certificate, and check the clock of this machine",
		"请更新 memcached 的证书，并检查本机时钟。",
	}},
	{memcache.ErrHandshake, Hint{
		"let memcached accept TLS 1.2 or newer, and demand no client certificate (ssl_verify_mode)",
		"请让 memcached 接受 TLS 1.2 或更高版本，并且不要求客户端证书（ssl_verify_mode）。",
	}},
	{memcache.ErrFile, Hint{
		"the error names the variable: check its file and the Secret behind it; a corrected file is used without a restart",
		"错误中写明了变量：请检查对应的文件及其 Secret；修正后无需重启。",
	}},
	{memcache.ErrClosed, Hint{
		"if memcached demands TLS (-Z), set MEMCACHED_TLS=true; run it without -S (SASL), and check the port in MEMCACHED_SERVERS; sidecar check finds out more",
		"memcached 要求 TLS（-Z）时，请设置 MEMCACHED_TLS=true；不支持 SASL（-S）；并检查 MEMCACHED_SERVERS 中的端口。sidecar check 可以查明原因。",
	}},
	{memcache.ErrSilent, Hint{
		"check that memcached is neither overloaded nor stopped, run it without -S (SASL), and check the port in MEMCACHED_SERVERS",
		"请确认 memcached 没有过载或停住，去掉 -S（SASL），并检查 MEMCACHED_SERVERS 中的端口。",
	}},
	{memcache.ErrConnections, Hint{
		"memcached has no free connection: raise its limit (-c), or find the program that opens so many",
		"memcached 的连接数已满：请调大 -c，或找出占用连接的程序。",
	}},
	{memcache.ErrMemory, Hint{
		"memcached is out of memory: raise its limit (-m), or let it evict (no -M)",
		"memcached 内存不足：请调大 -m，或允许淘汰（去掉 -M）。",
	}},
	{memcache.ErrBackend, Hint{
		"a proxy does not reach the memcached behind it: check the proxy's servers, or name memcached itself in MEMCACHED_SERVERS",
		"代理连不上后端的 memcached：请检查代理的后端配置，或在 MEMCACHED_SERVERS 中直接写 memcached。",
	}},
	{memcache.ErrServer, Hint{"see memcached's log", "请查看 memcached 的日志。"}},
}

// Memcached is for a failure of memcached.
func Memcached(err error) Hint {
	for _, one := range memcached {
		if errors.Is(err, one.cause) {
			return one.hint
		}
	}
	return memcachedUnreached
}
