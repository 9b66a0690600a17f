// Package names gives tests names of their own. [Names.Dial] is net.Dialer's, with a
// resolver whose DNS server is in the process: no query leaves it, and nothing in the
// system's configuration changes.
package names

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
)

// Names are names and their addresses, made by New. It is safe for concurrent use.
type Names struct {
	// Resolver knows the names.
	Resolver *net.Resolver

	mu        sync.Mutex // guards the fields below
	addresses map[string][]netip.Addr
	lost      bool // queries are lost
}

// New returns Names without a name.
func New() *Names {
	n := &Names{addresses: map[string][]netip.Addr{}}
	n.Resolver = &net.Resolver{PreferGo: true, Dial: n.serve}
	return n
}

// Set gives a name its addresses. Without any, it does not exist.
func (n *Names) Set(name string, addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addresses[name] = nil
	for _, address := range addresses {
		n.addresses[name] = append(n.addresses[name], netip.MustParseAddr(address))
	}
}

// Lose says whether queries are lost from now on. The one that waits for an answer is lost
// for good: Go repeats it after 5 s.
func (n *Names) Lose(lost bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lost = lost
}

// Dial connects over the network, for memcache.Config.Dial.
func (n *Names) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{Resolver: n.Resolver}).DialContext(ctx, network, address)
}

// serve returns a connection to the DNS server. Over net.Pipe, the resolver speaks the
// protocol of TCP: each message follows its length.
func (n *Names) serve(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	go func() {
		defer func() { _ = server.Close() }()
		for {
			var length uint16
			if binary.Read(server, binary.BigEndian, &length) != nil {
				return
			}
			query := make([]byte, length)
			if _, err := io.ReadFull(server, query); err != nil {
				return
			}
			n.mu.Lock()
			lost := n.lost
			n.mu.Unlock()
			if lost {
				continue
			}
			answer := n.answer(query)
			message := append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...) //nolint:gosec // under 1 KB
			if _, err := server.Write(message); err != nil {
				return
			}
		}
	}()
	return client, nil
}

// answer answers one question, see RFC 1035, 4.1.
func (n *Names) answer(query []byte) []byte {
	const header, typeA, typeAAAA = 12, 1, 28
	var labels []string
	at := header
	for query[at] > 0 {
		size := int(query[at])
		labels = append(labels, string(query[at+1:at+1+size]))
		at += 1 + size
	}
	kind := binary.BigEndian.Uint16(query[at+1:])
	question := query[header : at+5]

	n.mu.Lock()
	addresses := n.addresses[strings.ToLower(strings.Join(labels, "."))]
	n.mu.Unlock()
	var records []byte
	count := uint16(0)
	for _, ip := range addresses {
		if (kind == typeA && ip.Is4()) || (kind == typeAAAA && ip.Is6()) {
			data := ip.AsSlice()
			// the question's name, its type and class, 0 s to live
			records = append(records, 0xc0, header, question[len(question)-4], question[len(question)-3], 0, 1, 0, 0, 0, 0, 0, byte(len(data))) //nolint:gosec // 4 or 16
			records = append(records, data...)
			count++
		}
	}
	answer := append([]byte{}, query[:2]...) // the id
	answer = append(answer, 0x81, 0x80)      // an answer without error
	if len(addresses) == 0 {
		answer[3] = 0x83 // no such name
	}
	answer = binary.BigEndian.AppendUint16(answer, 1)
	answer = binary.BigEndian.AppendUint16(answer, count)
	answer = append(answer, 0, 0, 0, 0)
	return append(append(answer, question...), records...)
}
