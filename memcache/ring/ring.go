// Package ring says which of several servers has a key. It computes the hashes of
// the PHP extensions memcached and memcache, so that sidecars and apps find a key
// on the same server.
//
// No two clients agree by default. The sidecars need the Hash that the apps use.
// Both must name the same servers in the same order. To the consistent hashes, a
// host name and its IP address are two servers.
package ring

import (
	"cmp"
	"crypto/md5" //nolint:gosec // ketama uses it to spread keys, not to protect anything
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Hash is the name of a way to share keys among servers.
type Hash string

const (
	// Ketama is the hash of php-memcached with OPT_LIBKETAMA_COMPATIBLE, and the
	// default. It is consistent: if a server is added or removed, few keys move.
	Ketama Hash = "ketama"
	// PHPMemcached is the default of php-memcached: one-at-a-time, modulo.
	PHPMemcached Hash = "php-memcached"
	// PHPMemcacheConsistent is the default of pecl-memcache,
	// memcache.hash_strategy=consistent.
	PHPMemcacheConsistent Hash = "php-memcache-consistent"
	// PHPMemcacheStandard is memcache.hash_strategy=standard of pecl-memcache.
	PHPMemcacheStandard Hash = "php-memcache-standard"
)

// Hashes are all hashes.
var Hashes = []Hash{Ketama, PHPMemcached, PHPMemcacheConsistent, PHPMemcacheStandard}

// Check returns an error if h is unknown. An empty Hash means Ketama.
func Check(h Hash) error {
	if h == "" || slices.Contains(Hashes, h) {
		return nil
	}
	return fmt.Errorf("unknown hash %q; use ketama, php-memcached, php-memcache-consistent or php-memcache-standard", string(h))
}

// New returns the function that maps a key to the index of its server. The servers
// are host:port or /path/to.sock, and at least one.
func New(h Hash, servers []string) func(key string) int {
	if len(servers) == 1 {
		return func(string) int { return 0 }
	}
	n := uint32(len(servers)) //nolint:gosec // a handful
	switch h {
	case PHPMemcached:
		return func(key string) int { return int(oneAtATime(key) % n) }
	case PHPMemcacheStandard:
		return func(key string) int { return int(max(1, crc32.ChecksumIEEE([]byte(key))>>16&0x7fff) % n) }
	case PHPMemcacheConsistent:
		return consistent(servers)
	case Ketama:
	}
	return ketama(servers)
}

// oneAtATime is Bob Jenkins' hash.
func oneAtATime(key string) uint32 {
	var h uint32
	for i := range len(key) {
		h += uint32(key[i])
		h += h << 10
		h ^= h >> 6
	}
	h += h << 3
	h ^= h >> 11
	return h + h<<15
}

// points are the servers' points on the ring.
type points []point

type point struct {
	at     uint32
	server int
}

// sort orders the points. Of two at the same place, the point of the server that
// is named first comes first.
func (p points) sort() {
	slices.SortFunc(p, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.server, b.server))
	})
}

// owner returns the server of the first point at or after at.
func (p points) owner(at uint32) int {
	i, _ := slices.BinarySearchFunc(p, at, func(p point, at uint32) int { return cmp.Compare(p.at, at) })
	if i == len(p) {
		i = 0
	}
	return p[i].server
}

// ketama has about 40 labels for each server, and four points for each label.
func ketama(servers []string) func(key string) int {
	labels := ketamaLabels(len(servers))
	var ring points
	for server, name := range servers {
		host, port := hostAndPort(name)
		if port != "11211" && port != "0" { // a label has neither the default port nor a socket's
			host += ":" + port
		}
		for i := range labels {
			sum := md5.Sum([]byte(host + "-" + strconv.Itoa(i))) //nolint:gosec // see the import
			for at := 0; at < len(sum); at += 4 {
				ring = append(ring, point{binary.LittleEndian.Uint32(sum[at:]), server})
			}
		}
	}
	ring.sort()
	return func(key string) int {
		sum := md5.Sum([]byte(key)) //nolint:gosec // see the import
		return ring.owner(binary.LittleEndian.Uint32(sum[:]))
	}
}

// ketamaLabels returns 40, or 39 if the rounding of libmemcached's single-precision
// arithmetic gives 39.
func ketamaLabels(servers int) int {
	share := float32(1) / float32(servers)
	return int(share * 160 / 4 * float32(float64(servers)+1e-10))
}

// consistent has 160 points for each server, and 1,024 buckets for the keys.
func consistent(servers []string) func(key string) int {
	const perServer, buckets = 160, 1024
	ring := make(points, 0, perServer*len(servers))
	for server, name := range servers {
		host, port := hostAndPort(name)
		if port == "0" {
			host = "unix://" + host
		}
		for i := range perServer {
			ring = append(ring, point{crc32.ChecksumIEEE([]byte(host + ":" + port + "-" + strconv.Itoa(i))), server})
		}
	}
	ring.sort()
	var owners [buckets]int
	for i := range owners {
		owners[i] = ring.owner(uint32(i) * (math.MaxUint32 / buckets))
	}
	return func(key string) int { return owners[crc32.ChecksumIEEE([]byte(key))%buckets] }
}

// hostAndPort splits a server's name as PHP's extensions do. A socket has port 0.
func hostAndPort(server string) (host, port string) {
	if strings.HasPrefix(server, "/") {
		return server, "0"
	}
	host, port, _ = net.SplitHostPort(server) // memcache.CheckServer has checked it
	return host, port
}
