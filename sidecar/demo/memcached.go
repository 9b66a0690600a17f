package demo

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// openMemcached uses the memcached that MEMCACHED_SERVERS names, or starts one.
func (d *demo) openMemcached(ctx context.Context) error {
	d.server = strings.TrimSpace(valueOf(d.Environ, "MEMCACHED_SERVERS"))
	d.prefix = valueOf(d.Environ, "MEMCACHED_KEY_PREFIX")
	if d.server != "" {
		return d.command(ctx, "version\r\n", "VERSION")
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	d.server, d.own = listener.Addr().String(), memcachetest.New()
	go func() { _ = d.own.Serve(listener) }() // Close waits for it
	return nil
}

// valueOf returns the value of a variable, or "".
func valueOf(environ []string, name string) string {
	for _, pair := range environ {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// command sends one command to memcached and checks how the answer begins. Package
// memcache does not have the commands that a program other than a sidecar sends.
func (d *demo) command(ctx context.Context, text, want string) error {
	network := "tcp"
	if strings.HasPrefix(d.server, "/") {
		network = "unix"
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, d.server)
	if err != nil {
		return fmt.Errorf("connect to memcached: %w; does it run at MEMCACHED_SERVERS?", err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second)) // a socket takes one
	if _, err := conn.Write([]byte(text)); err != nil {
		return fmt.Errorf("write to memcached: %w", err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return fmt.Errorf("read from memcached: %w", err)
	}
	if !strings.HasPrefix(answer, want) {
		return fmt.Errorf("read from memcached %s: the answer is not %s; does memcached run there?", d.server, want)
	}
	return nil
}
