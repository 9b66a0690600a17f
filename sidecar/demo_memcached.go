package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// openMemcached finds the memcached to use: the one that is named, or its own.
func (d *demo) openMemcached(ctx context.Context, environ []string) error {
	for _, pair := range environ {
		if value, ok := strings.CutPrefix(pair, "MEMCACHED_SERVERS="); ok {
			d.server = strings.TrimSpace(value)
		}
		if value, ok := strings.CutPrefix(pair, "MEMCACHED_KEY_PREFIX="); ok {
			d.prefix = value
		}
	}
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

// command says one thing to memcached that an answer must begin with; it is for
// what strangers and accidents do, which package memcache has no words for.
func (d *demo) command(ctx context.Context, text, want string) error {
	network := "tcp"
	if strings.HasPrefix(d.server, "/") {
		network = "unix"
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, d.server)
	if err != nil {
		return fmt.Errorf("ask memcached: %w; does it run where MEMCACHED_SERVERS says?", err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second)) // a socket takes one
	if _, err := conn.Write([]byte(text)); err != nil {
		return fmt.Errorf("ask memcached: %w", err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return fmt.Errorf("ask memcached: %w", err)
	}
	if !strings.HasPrefix(answer, want) {
		return fmt.Errorf("ask memcached: it did not answer %s", want)
	}
	return nil
}
