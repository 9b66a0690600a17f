package memcache

import (
	"context"
	"net"
	"net/http/httptrace"
	"net/netip"
	"slices"
	"sync"
)

// addresses watches what the name of a server resolves to. A name with several addresses
// can be several memcacheds, as a headless Service with two pods is:
//
//  1. Sidecar 1 dials the first and renews there. Sidecar 2 dials the second, does not
//     find the record, and renews too. Its request invalidates the token of sidecar 1.
//  2. Each app dials one of the two, at random. Half of them read an invalid token.
//  3. Each sidecar takes the other's token for one that another program fetched.
type addresses struct {
	server string
	notify func(server string, several []string)

	mu      sync.Mutex // also held over notify, so that its last call has the last state
	several []string   // empty while there is one address of each family; mu guards it
}

// watch returns a context for a dial. The dial resolves the name anyway, and net.Dialer
// reports the result: a second lookup would take time, and could have another result.
func (a *addresses) watch(ctx context.Context) context.Context {
	if a.notify == nil {
		return ctx
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{DNSDone: func(done httptrace.DNSDoneInfo) {
		if done.Err == nil {
			a.resolved(done.Addrs)
		}
	}})
}

func (a *addresses) resolved(found []net.IPAddr) {
	several := severalOf(found)
	a.mu.Lock()
	defer a.mu.Unlock()
	if slices.Equal(several, a.several) {
		return
	}
	a.several = several
	a.notify(a.server, several)
}

// areSeveral reports whether the last dial found several addresses.
func (a *addresses) areSeveral() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.several) > 0
}

// severalOf returns the sorted addresses of each family that has several. One of IPv4 and
// one of IPv6 are those of one server.
func severalOf(found []net.IPAddr) (several []string) {
	families := map[bool][]netip.Addr{}
	for _, one := range found {
		if ip, ok := netip.AddrFromSlice(one.IP); ok {
			ip = ip.Unmap().WithZone(one.Zone)
			families[ip.Is4()] = append(families[ip.Is4()], ip)
		}
	}
	for _, is4 := range []bool{true, false} {
		family := families[is4]
		slices.SortFunc(family, netip.Addr.Compare)
		if family = slices.Compact(family); len(family) > 1 {
			for _, ip := range family {
				several = append(several, ip.String())
			}
		}
	}
	return several
}

// dialAlone connects with a Resolver of its own. With a shared one, two dials at a time wait
// for the same DNS query, and so do all later ones. If that query was lost, while a pod's
// network was not there yet, they wait for 5 s.
func dialAlone(ctx context.Context, network, address string) (net.Conn, error) {
	shared := net.DefaultResolver
	alone := &net.Resolver{PreferGo: shared.PreferGo, StrictErrors: shared.StrictErrors, Dial: shared.Dial}
	return (&net.Dialer{Resolver: alone}).DialContext(ctx, network, address)
}
