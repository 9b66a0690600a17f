package memcache_test

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// manyAppIDs is how many AppIDs must agree, each with its ticket's key.
const manyAppIDs = 1000

// places tells where each key is: appID and kind, the key, the server's name.
func places(t *testing.T, hash memcache.Hash, servers []string) map[string]string {
	t.Helper()
	store := open(t, memcache.Config{Servers: servers, Hash: hash, Prefix: "prod:"})
	at := map[string]string{}
	for i := range manyAppIDs {
		appID := fmt.Sprintf("wx%016x", uint64(i)*0x9e3779b97f4a7c15)
		for kind, suffix := range map[memcache.Kind]string{memcache.AccessToken: "", "jsapi_ticket": ":jsapi_ticket"} {
			slot, err := store.Slot(appID, kind)
			require.NoError(t, err)
			at["prod:"+appID+suffix] = slot.Server()
		}
	}
	return at
}

// php runs a script with the keys on its standard input, one a line.
func php(t *testing.T, at map[string]string, arguments []string, script string, servers []string) string {
	t.Helper()
	program, err := exec.LookPath("php")
	require.NoError(t, err, "php is not installed: run make setup")
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
		"names, memcached's port":  {"memcached-0.memcached:11211", "memcached-1.memcached:11211", "memcached-2.memcached:11211"},
		"addresses, its port":      {"10.0.0.7:11211", "10.0.0.8:11211", "10.0.0.9:11211"},
		"addresses, other ports":   {"10.0.0.7:11212", "10.0.0.7:11213", "10.0.0.8:11211"},
		"one name, three ports":    {"localhost:11211", "localhost:11212", "localhost:2"},
		"a socket and an address":  {"/run/memcached.sock", "127.0.0.1:11211", "[::1]:11211"},
		"two":                      {"a:11211", "b:11211"},
		"seven":                    {"a:1", "b:1", "c:1", "d:1", "e:1", "f:1", "g:1"},
		"forty-nine, not a third ": many(49),
	}
}

func many(n int) []string {
	var servers []string
	for i := range n {
		servers = append(servers, fmt.Sprintf("memcached-%d:11211", i))
	}
	return servers
}

func TestPHPMemcachedLooksWhereWeDo(t *testing.T) {
	t.Parallel()
	options := map[memcache.Hash]string{
		memcache.Ketama:       `$m->setOption(Memcached::OPT_LIBKETAMA_COMPATIBLE, true);`,
		memcache.PHPMemcached: ``,
	}
	for hash, option := range options {
		for name, servers := range pools() {
			t.Run(string(hash)+", "+name, func(t *testing.T) {
				t.Parallel()
				at := places(t, hash, servers)
				script := `if (!extension_loaded('memcached')) { fwrite(STDERR, 'run make setup'); exit(1); } $m = new Memcached(); ` + option + `
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
var peclStrategies = map[memcache.Hash]string{
	memcache.PHPMemcacheStandard:   "standard",
	memcache.PHPMemcacheConsistent: "consistent",
}

// peclMemcache begins a script with a pool of the servers that it is given.
const peclMemcache = `if (!extension_loaded('memcache')) { fwrite(STDERR, 'run make setup'); exit(1); } $m = new Memcache();
	foreach (array_slice($argv, 1) as $s) {
		$i = strrpos($s, ':');
		[$host, $port] = $s[0] == '/' ? ["unix://$s", 0] : [trim(substr($s, 0, $i), '[]'), (int)substr($s, $i + 1)];
		$m->addServer($host, $port);
		$names["$host:$port"] = $s; }
	`

func TestPeclMemcacheLooksWhereWeDo(t *testing.T) {
	t.Parallel()
	for hash, strategy := range peclStrategies {
		for name, servers := range pools() {
			t.Run(string(hash)+", "+name, func(t *testing.T) {
				t.Parallel()
				at := places(t, hash, servers)
				script := peclMemcache + `while (($key = fgets(STDIN)) !== false) { $key = rtrim($key); echo $key, ' ', $names[$m->findServer($key)], "\n"; }`
				assertAgreement(t, at, php(t, at, []string{"-d", "memcache.hash_strategy=" + strategy}, script, servers))
			})
		}
	}
}

// Here the servers are real, so that what the extension says of a key above is also what it does.
func TestPeclMemcacheWritesWhereWeLook(t *testing.T) {
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
			at := places(t, hash, servers)
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

// assertAgreement asserts that PHP named the same server for every key, and that
// every server has some: hashes that always name the first would agree too.
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
		assert.False(t, unknown, "%s has keys that we look for elsewhere", server)
	}
	t.Logf("%d of %d keys agree, on %d servers", agreed, len(at), len(used))
	assert.Greater(t, len(used), 1)
}

func TestEverythingOfACredentialIsOnItsEntrysServer(t *testing.T) {
	t.Parallel()
	fakes := map[string]*memcachetest.Server{}
	store := open(t, memcache.Config{Servers: []string{"a:11211", "b:11211", "c:11211"}, Dial: dialEach(t, fakes, "a:11211", "b:11211", "c:11211")})
	for _, slot := range manySlots(t, store, 60) {
		require.NoError(t, slot.PutEntry(memcache.Entry{}, token1, longLife))
		require.NoError(t, slot.PutRecord(memcache.Seen{}, newRecord(token1), longLife))
		_, err := slot.TakeLease()
		require.NoError(t, err)
		_, err = slot.Mark(memcache.MarkReportThrottle, longLife)
		require.NoError(t, err)
		_, err = slot.CountFailure()
		require.NoError(t, err)
	}
	for name, fake := range fakes {
		keys := fake.Keys()
		assert.NotEmpty(t, keys, name)
		owners := map[string]int{}
		for _, key := range keys {
			appID, _, _ := strings.Cut(key, ":")
			owners[appID]++
		}
		for appID, n := range owners {
			assert.Equal(t, 5, n, "%s on %s", appID, name)
		}
	}
}

// longLife is longer than any test.
const longLife = time.Hour

// dialEach makes a fake for each name, and dials them by name.
func dialEach(t *testing.T, fakes map[string]*memcachetest.Server, names ...string) func(context.Context, string, string) (net.Conn, error) {
	t.Helper()
	for _, name := range names {
		fake := memcachetest.New()
		t.Cleanup(func() { _ = fake.Close() })
		fakes[name] = fake
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return fakes[address].Dial(ctx, network, address)
	}
}

// Poll asks no server that keeps none of its credentials.
func TestPoll_AsksOnlyTheServersOfItsSlots(t *testing.T) {
	t.Parallel()
	fakes := map[string]*memcachetest.Server{}
	store := open(t, memcache.Config{Servers: []string{"a:11211", "b:11211", "c:11211"}, Dial: dialEach(t, fakes, "a:11211", "b:11211", "c:11211")})
	slots := manySlots(t, store, 60)
	for i, slot := range slots {
		require.NoError(t, slot.PutEntry(memcache.Entry{}, fmt.Sprintf("%s-%d", token1, i), longLife))
	}
	views, err := store.Poll(slots)
	require.NoError(t, err)
	for i, view := range views {
		assert.Equal(t, memcache.Fingerprint(fmt.Sprintf("%s-%d", token1, i)), memcache.Fingerprint(view.Entry.Token), "in the order of the slots")
	}

	fakes["b:11211"].SetFault(memcachetest.Refuse)
	_, err = store.Poll(slots)
	require.Error(t, err)
	healthy := slices.DeleteFunc(slots, func(s *memcache.Slot) bool { return s.Server() == "b:11211" })
	views, err = store.Poll(healthy)
	require.NoError(t, err)
	assert.Len(t, views, len(healthy))
}
