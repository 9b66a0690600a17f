package memcache

import (
	"cmp"
	"crypto/md5" //nolint:gosec // ketama's: it spreads keys and guards nothing
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"net"
	"slices"
	"strconv"
)

// Hash says how several servers share the keys. No two clients agree by
// default: it must be the one that the apps use, and the servers must be named
// as they name them, a name and its address being two different servers to all
// of them but the two that only count.
type Hash string

const (
	// Ketama is php-memcached's with OPT_LIBKETAMA_COMPATIBLE, and the default.
	// When a server comes or goes, few keys move.
	Ketama Hash = "ketama"
	// PHPMemcached is php-memcached's own default: one-at-a-time, modulo.
	PHPMemcached Hash = "php-memcached"
	// PHPMemcacheConsistent is the default of pecl-memcache,
	// memcache.hash_strategy=consistent.
	PHPMemcacheConsistent Hash = "php-memcache-consistent"
	// PHPMemcacheStandard is pecl-memcache's memcache.hash_strategy=standard.
	PHPMemcacheStandard Hash = "php-memcache-standard"
)

// Hashes are all of them.
var Hashes = []Hash{Ketama, PHPMemcached, PHPMemcacheConsistent, PHPMemcacheStandard}

// CheckHash reports what is wrong with a hash; "" is Ketama.
func CheckHash(h Hash) error {
	if h == "" || slices.Contains(Hashes, h) {
		return nil
	}
	return fmt.Errorf("memcache: there is no hash %q; there are ketama, php-memcached, php-memcache-consistent and php-memcache-standard", string(h))
}

// over returns the function that tells which of the servers has a key, by its
// place.
func (h Hash) over(servers []string) func(key string) int {
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
		return peclRing(servers)
	case Ketama:
	}
	return ketamaRing(servers)
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

// ring is points on a circle, each of which is a server's.
type ring []point

type point struct {
	at     uint32
	server int
}

// sort puts the points in order; where two are at the same place, the server
// that was named first goes first.
func (r ring) sort() {
	slices.SortFunc(r, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.server, b.server))
	})
}

// owner is the server of the first point at or after this place.
func (r ring) owner(at uint32) int {
	i, _ := slices.BinarySearchFunc(r, at, func(p point, at uint32) int { return cmp.Compare(p.at, at) })
	if i == len(r) {
		i = 0
	}
	return r[i].server
}

// ketamaRing has about 40 labels for each server, and four points for each label.
func ketamaRing(servers []string) func(key string) int {
	labels := ketamaLabels(len(servers))
	var r ring
	for server, name := range servers {
		host, port := hostAndPort(name)
		if port != "11211" && port != "0" { // neither memcached's own nor a socket's stands in a label
			host += ":" + port
		}
		for i := range labels {
			sum := md5.Sum([]byte(host + "-" + strconv.Itoa(i))) //nolint:gosec // see above
			for at := 0; at < len(sum); at += 4 {
				r = append(r, point{binary.LittleEndian.Uint32(sum[at:]), server})
			}
		}
	}
	r.sort()
	return func(key string) int {
		sum := md5.Sum([]byte(key)) //nolint:gosec // see above
		return r.owner(binary.LittleEndian.Uint32(sum[:]))
	}
}

// ketamaLabels is 40, or 39 where libmemcached's arithmetic in single precision
// falls short of it.
func ketamaLabels(servers int) int {
	share := float32(1) / float32(servers)
	return int(share * 160 / 4 * float32(float64(servers)+1e-10))
}

// peclRing has 160 points for each server, and looks them up for each of 1,024
// buckets once.
func peclRing(servers []string) func(key string) int {
	const points, buckets = 160, 1024
	r := make(ring, 0, points*len(servers))
	for server, name := range servers {
		host, port := hostAndPort(name)
		if isSocket(name) {
			host = "unix://" + host
		}
		for i := range points {
			r = append(r, point{crc32.ChecksumIEEE([]byte(host + ":" + port + "-" + strconv.Itoa(i))), server})
		}
	}
	r.sort()
	var owners [buckets]int
	for i := range owners {
		owners[i] = r.owner(uint32(i) * (math.MaxUint32 / buckets))
	}
	return func(key string) int { return owners[crc32.ChecksumIEEE([]byte(key))%buckets] }
}

// hostAndPort is how PHP's extensions are told of a server.
func hostAndPort(server string) (host, port string) {
	if isSocket(server) {
		return server, "0"
	}
	host, port, _ = net.SplitHostPort(server) // it was checked
	return host, port
}
