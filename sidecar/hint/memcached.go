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
		"memcached demands a user and a password: run it without -Y; a NetworkPolicy or firewall protects it",
		"memcached 要求用户名和密码：请去掉 -Y，改用网络策略或防火墙保护。",
	}},
	{memcache.ErrTLS, Hint{
		"the server demands TLS: run memcached without -Z; a NetworkPolicy or firewall protects it",
		"服务器要求 TLS：请去掉 memcached 的 -Z，改用网络策略或防火墙保护。",
	}},
	{memcache.ErrClosed, Hint{
		"run memcached without -Z (TLS) and -S (SASL), and check the port in MEMCACHED_SERVERS",
		"请去掉 memcached 的 -Z（TLS）和 -S（SASL），并检查 MEMCACHED_SERVERS 中的端口。",
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
