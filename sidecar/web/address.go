package web

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// maxSocketPath is the longest path of a unix socket: what Linux leaves of
// sockaddr_un's 108 bytes; other systems have 104.
const maxSocketPath = 103

// CheckListen reports what is wrong with an address to listen on: host:port,
// where host may be empty for all interfaces and port is a number, or
// unix:///path.
func CheckListen(address string) error {
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		switch {
		case !strings.HasPrefix(path, "/"):
			return fmt.Errorf("listen address %q: a unix socket is unix:///path, with three slashes", address)
		case strings.HasSuffix(path, "/") || strings.Contains(path, "\x00"):
			return fmt.Errorf("listen address %q: this is no path of a socket", address)
		case len(path) > maxSocketPath:
			return fmt.Errorf("listen address %q: the path of a unix socket has at most %d bytes", address, maxSocketPath)
		}
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || strings.ContainsAny(host, "/ \t\r\n") {
		return fmt.Errorf("listen address %q is neither host:port nor unix:///path", address)
	}
	if !isPort(port) {
		return fmt.Errorf("listen address %q: the port is not a number from 0 to 65535", address)
	}
	return nil
}

// IsLocal reports whether only this host, or this pod, can reach what listens on
// address: loopback or a unix socket.
func IsLocal(address string) bool {
	if CheckListen(address) != nil {
		return false
	}
	host, _, err := net.SplitHostPort(address)
	return strings.HasPrefix(address, "unix://") || (err == nil && isLoopback(host))
}

func isPort(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}
