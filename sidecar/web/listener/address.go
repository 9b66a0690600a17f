package listener

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// maxSocketPath is the longest path of a unix socket in bytes. Linux has 108 for it,
// other systems 104, with a zero at the end.
const maxSocketPath = 103

// CheckAddress returns what is wrong with an address to listen on. It must be
// host:port or unix:///path. An empty host is all interfaces, and the port is a number.
func CheckAddress(address string) error {
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		switch {
		case !strings.HasPrefix(path, "/"):
			return fmt.Errorf("listen address %q: write a unix socket as unix:///path, with three slashes", address)
		case strings.HasSuffix(path, "/") || strings.Contains(path, "\x00"):
			return fmt.Errorf("listen address %q: this is not the path of a socket; name a file", address)
		case len(path) > maxSocketPath:
			return fmt.Errorf("listen address %q: shorten the path of the unix socket to %d bytes", address, maxSocketPath)
		}
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || strings.ContainsAny(host, "/ \t\r\n") {
		return fmt.Errorf("listen address %q: write it as host:port or unix:///path", address)
	}
	if !IsPort(port) {
		return fmt.Errorf("listen address %q: the port must be a number from 0 to 65535", address)
	}
	return nil
}

// IsLocal reports whether the address is loopback or a unix socket, which only this
// host or this pod can reach.
func IsLocal(address string) bool {
	if CheckAddress(address) != nil {
		return false
	}
	host, _, err := net.SplitHostPort(address)
	return strings.HasPrefix(address, "unix://") || (err == nil && IsLoopback(host))
}

// IsLoopback reports whether host, without a port, is a loopback name or address. Other
// spellings that a resolver might accept, such as 127.1 or 0.0.0.0, are not.
func IsLoopback(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Zone() == "" && addr.Unmap().IsLoopback()
}

// IsPort reports whether s is a port number.
func IsPort(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}
