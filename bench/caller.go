package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// callerPatience is longer than any batch.
const callerPatience = 30 * time.Second

// tokenRequest is a request for the token, byte for byte: an HTTP client would
// take more of the processor than the server that is measured.
const tokenRequest = "GET /v1/" + appID + "/access_token HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Wxsidecar: 1\r\n\r\n"

// caller is one connection that stays open.
type caller struct {
	conn    net.Conn
	request string
	answer  []byte // as long as an answer is
	body    int    // bytes of its body
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		network, address = "unix", path
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return conn, conn.SetDeadline(time.Now().Add(callerPatience))
}

// newCaller dials and asks once, to learn how long answers are.
func newCaller(ctx context.Context, address string, request string) (*caller, error) {
	conn, err := dial(ctx, address)
	if err != nil {
		return nil, err
	}
	c := &caller{conn: conn, request: request}
	if err := c.learn(); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("ask %s: %w", address, err)
	}
	return c, nil
}

func (c *caller) learn() error {
	if _, err := io.WriteString(c.conn, c.request); err != nil {
		return err
	}
	seen := &counting{Reader: c.conn}
	resp, err := http.ReadResponse(bufio.NewReader(seen), nil)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	c.body, c.answer = int(body), make([]byte, seen.n)
	return nil
}

// ask asks once more.
func (c *caller) ask() error {
	if _, err := io.WriteString(c.conn, c.request); err != nil {
		return err
	}
	if _, err := io.ReadFull(c.conn, c.answer); err != nil {
		return err
	}
	return granted(c.answer)
}

// granted reports whether an answer begins as one with a token does.
func granted(answer []byte) error {
	const good = "HTTP/1.1 200 "
	if len(answer) < len(good) || string(answer[:len(good)]) != good {
		return errors.New("an answer that is not 200")
	}
	return nil
}

// counting counts what is read.
type counting struct {
	io.Reader
	n int
}

// Read implements io.Reader.
func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}
