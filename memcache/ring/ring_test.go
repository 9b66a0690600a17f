package ring_test

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/memcache/ring"
)

// manyAppIDs is how many AppIDs must agree, each with its ticket's key.
const manyAppIDs = 1000

// owners returns the server of each key: a prefix, then an AppID or a ticket.
func owners(hash ring.Hash, servers []string) map[string]string {
	server := ring.New(hash, servers)
	owners := map[string]string{}
	for i := range manyAppIDs {
		key := fmt.Sprintf("prod:wx%016x", uint64(i)*0x9e3779b97f4a7c15)
		owners[key] = servers[server(key)]
		owners[key+":jsapi_ticket"] = servers[server(key+":jsapi_ticket")]
	}
	return owners
}

// php runs a script with the keys on its standard input, one a line.
func php(t *testing.T, at map[string]string, arguments []string, script string, servers []string) string {
	t.Helper()
	program, err := exec.LookPath("php")
	require.NoError(t, err, "php is not installed: run .ci/setup")
	var keys strings.Builder
	for key := range at {
		keys.WriteString(key + "\n")
	}
	cmd := exec.Command(program, slices.Concat(arguments, []string{"-r", script, "--"}, servers)...)
	cmd.Stdin = strings.NewReader(keys.String())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// pools are named as apps name them. None of these servers is contacted.
func pools() map[string][]string {
	return map[string][]string{
		"names, memcached's port": {"memcached-0.memcached:11211", "memcached-1.memcached:11211", "memcached-2.memcached:11211"},
		"addresses, its port":     {"10.0.0.7:11211", "10.0.0.8:11211", "10.0.0.9:11211"},
		"addresses, other ports":  {"10.0.0.7:11212", "10.0.0.7:11213", "10.0.0.8:11211"},
		"one name, three ports":   {"localhost:11211", "localhost:11212", "localhost:2"},
		"a socket and an address": {"/run/memcached.sock", "127.0.0.1:11211", "[::1]:11211"},
		"two":                     {"a:11211", "b:11211"},
		"seven":                   {"a:1", "b:1", "c:1", "d:1", "e:1", "f:1", "g:1"},
		"forty-nine":              many(49),
	}
}

func many(n int) []string {
	var servers []string
	for i := range n {
		servers = append(servers, fmt.Sprintf("memcached-%d:11211", i))
	}
	return servers
}

// php-memcached names the same server for every key.
func TestRing_PHPMemcachedAgrees(t *testing.T) {
	t.Parallel()
	options := map[ring.Hash]string{
		ring.Ketama:       `$m->setOption(Memcached::OPT_LIBKETAMA_COMPATIBLE, true);`,
		ring.PHPMemcached: ``,
	}
	for hash, option := range options {
		for name, servers := range pools() {
			t.Run(string(hash)+", "+name, func(t *testing.T) {
				t.Parallel()
				at := owners(hash, servers)
				script := `if (!extension_loaded('memcached')) { fwrite(STDERR, 'run .ci/setup'); exit(1); } $m = new Memcached(); ` + option + `
					foreach (array_slice($argv, 1) as $s) { $names[] = $s;
						if ($s[0] == '/') { $m->addServer($s, 0); continue; }
						$i = strrpos($s, ':'); $m->addServer(trim(substr($s, 0, $i), '[]'), (int)substr($s, $i + 1)); }
					while (($key = fgets(STDIN)) !== false) { $key = rtrim($key); $at = $m->getServerByKey($key);
						foreach ($names as $s) { $h = $at['host']; $p = $at['port'];
							if ($s === $h || $s === "$h:$p" || $s === "[$h]:$p") echo "$key $s\n"; } }`
				assertAgreement(t, at, php(t, at, nil, script, servers))
			})
		}
	}
}

// peclStrategies are pecl-memcache's names of its hashes.
var peclStrategies = map[ring.Hash]string{
	ring.PHPMemcacheStandard:   "standard",
	ring.PHPMemcacheConsistent: "consistent",
}

// peclMemcache begins a script with a pool of the servers that it is given.
const peclMemcache = `if (!extension_loaded('memcache')) { fwrite(STDERR, 'run .ci/setup'); exit(1); } $m = new Memcache();
	foreach (array_slice($argv, 1) as $s) {
		$i = strrpos($s, ':');
		[$host, $port] = $s[0] == '/' ? ["unix://$s", 0] : [trim(substr($s, 0, $i), '[]'), (int)substr($s, $i + 1)];
		$m->addServer($host, $port);
		$names["$host:$port"] = $s; }
	`

// pecl-memcache names the same server for every key.
func TestRing_PeclMemcacheAgrees(t *testing.T) {
	t.Parallel()
	for hash, strategy := range peclStrategies {
		for name, servers := range pools() {
			t.Run(string(hash)+", "+name, func(t *testing.T) {
				t.Parallel()
				at := owners(hash, servers)
				script := peclMemcache + `while (($key = fgets(STDIN)) !== false) { $key = rtrim($key); echo $key, ' ', $names[$m->findServer($key)], "\n"; }`
				assertAgreement(t, at, php(t, at, []string{"-d", "memcache.hash_strategy=" + strategy}, script, servers))
			})
		}
	}
}

// The extension writes each key to the server that it names for the key.
func TestRing_PeclMemcacheWritesThere(t *testing.T) {
	t.Parallel()
	for hash, strategy := range peclStrategies {
		t.Run(strategy, func(t *testing.T) {
			t.Parallel()
			fakes := map[string]*memcachetest.Server{}
			var servers []string
			for _, name := range []string{"127.0.0.1:", "localhost:", filepath.Join(t.TempDir(), "m.sock"), "127.0.0.1:"} {
				network, address := "tcp", "127.0.0.1:0"
				if name[0] == '/' {
					network, address = "unix", name
				}
				l, err := net.Listen(network, address)
				require.NoError(t, err)
				if _, port, err := net.SplitHostPort(l.Addr().String()); err == nil {
					name += port
				}
				fake := memcachetest.New()
				go func() { _ = fake.Serve(l) }()
				t.Cleanup(func() { _ = fake.Close() })
				servers = append(servers, name)
				fakes[name] = fake
			}
			at := owners(hash, servers)
			script := peclMemcache + `while (($key = fgets(STDIN)) !== false) if (!$m->set(rtrim($key), 'x', 0, 60)) echo "lost\n";`
			out := php(t, at, []string{"-d", "memcache.hash_strategy=" + strategy, "-d", "memcache.allow_failover=0"}, script, servers)
			require.Empty(t, out)
			var found strings.Builder
			for name, fake := range fakes {
				for _, key := range fake.Keys() {
					fmt.Fprintf(&found, "%s %s\n", key, name)
				}
			}
			assertAgreement(t, at, found.String())
		})
	}
}

// assertAgreement asserts that PHP named the same server for every key, and that more than
// one server has keys: hashes that always name the first server would agree too.
func assertAgreement(t *testing.T, at map[string]string, said string) {
	t.Helper()
	agreed, used := 0, map[string]bool{}
	for line := range strings.Lines(said) {
		key, server, _ := strings.Cut(strings.TrimSpace(line), " ")
		if at[key] == server {
			agreed++
		}
		used[server] = true
	}
	assert.Equal(t, len(at), agreed, "of %d keys", len(at))
	for _, server := range at {
		used[server] = false
	}
	for server, unknown := range used {
		assert.False(t, unknown, "%s has keys of other servers", server)
	}
	t.Logf("%d of %d keys agree, on %d servers", agreed, len(at), len(used))
	assert.Greater(t, len(used), 1)
}

// An unknown hash is an error that names the known ones.
func TestCheck_UnknownHash(t *testing.T) {
	t.Parallel()
	for _, known := range append(ring.Hashes, "") {
		require.NoError(t, ring.Check(known))
	}
	require.EqualError(t, ring.Check("crc"), `unknown hash "crc"; use ketama, php-memcached, php-memcache-consistent or php-memcache-standard`)
}
