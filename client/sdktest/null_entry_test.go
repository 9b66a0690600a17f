package sdktest

import (
	"bufio"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// nullEntry is the entry that pecl-memcache writes for null: flags 1, and PHP's
// serialized null. The class stores it if WeChat answers with an error.
const nullEntry = "VALUE " + appID + " 1 2\r\nN;\r\n"

// The class's memcache variant reads an empty memcached. It has no AppSecret, so WeChat
// refuses, and it stores null, as long as it reads null. Other readers never use it.
func TestNullEntry_LastsUntilRepair(t *testing.T) {
	t.Run("without another reader it lasts until the next poll", func(t *testing.T) {
		t.Parallel()
		s := newNullEntry(t)
		s.rounds(t, "alone")
	})
	t.Run("with another reader it lasts until that one asks the sidecar", func(t *testing.T) {
		t.Parallel()
		s := newNullEntry(t)
		readers := s.readers(t)
		s.rounds(t, "with readers")
		for _, p := range readers {
			p.end(t)
			assert.Equal(t, count{uses: p.count.uses}, p.count, "%s neither used the null nor sent WeChat a request for a token", p)
			assert.Zero(t, p.tally.Failed, "%s: %s", p, p.tally.Error)
		}
	})
}

// nullEntries is a stage without mirrors, and the program that stores null.
type nullEntries struct {
	*stage
	program *program
}

func newNullEntry(t *testing.T) nullEntries {
	t.Helper()
	s := nullEntries{stage: &stage{world: newWorld(t), plainPHP: map[string]string{}}}
	for extension := range extensions {
		s.plainPHP[extension] = readmeLines(t, extension, s.memcached.Address, s.api)
	}
	s.start(t)
	s.program = &program{name: "class, memcache", start: php("memcache")}
	s.program.begin(t, s.stage)
	return s
}

// readers starts the programs that treat null as a miss.
func (s nullEntries) readers(t *testing.T) []*program {
	t.Helper()
	var all []*program
	for _, p := range programs() {
		if strings.HasPrefix(p.name, "client") || strings.HasPrefix(p.name, "plain PHP") {
			p.begin(t, s.stage)
			all = append(all, p)
		}
	}
	return all
}

// rounds makes the program store null, and logs how long the token takes to return.
func (s nullEntries) rounds(t *testing.T, who string) {
	t.Helper()
	rounds := 1
	if long() {
		rounds = 5
	}
	for range rounds {
		require.Eventually(t, func() bool { return s.program.endpoint.counts().uses > 0 }, patience, 10*time.Millisecond, "the program runs")
		require.Eventually(t, func() bool {
			found := s.ask(t, "get "+appID)
			if found == nullEntry {
				return true
			}
			s.ask(t, "delete "+appID) // as memcached does without memory
			return false
		}, patience, time.Millisecond, "a null in memcached")
		began, swaps := time.Now(), s.swaps(t)
		require.Eventually(t, func() bool { return s.swaps(t) != swaps }, 20*time.Second, time.Millisecond,
			"the next poll, at most 15 s after the last one, replaces null")
		// The program can store null again at the moment of the repair, and the next poll repairs that. So the token
		// must stay for three of its requests.
		var good time.Time
		require.Eventually(t, func() bool {
			if s.entry(t, memcache.AccessToken) == "" {
				good = time.Time{}
			} else if good.IsZero() {
				good = time.Now()
			}
			return !good.IsZero() && time.Since(good) > 3*every
		}, time.Minute, time.Millisecond, "a token stays in memcached")
		t.Logf("%s: the token returned %s after null", who, good.Sub(began).Round(time.Millisecond))
	}
	assert.Equal(t, 1, s.wechat.Issues(appID), "no renewal")
	counts := s.program.endpoint.counts()
	assert.Zero(t, counts.invalid, "null is no invalid token")
	t.Logf("%s: the class sent %d refused requests for a token, and %d of %d requests without a token", who, counts.fetches, counts.without, counts.uses)
}

// swaps returns memcached's count of writes by compare-and-swap, which only the sidecar
// uses.
func (s nullEntries) swaps(t *testing.T) string {
	t.Helper()
	_, stats, _ := strings.Cut(s.ask(t, "stats"), "STAT cas_hits ")
	swaps, _, found := strings.Cut(stats, "\r\n")
	require.True(t, found)
	return swaps
}

// ask sends one line to memcached and returns its answer, without END.
func (s nullEntries) ask(t *testing.T, line string) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.memcached.Address)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte(line + "\r\n"))
	require.NoError(t, err)
	var answer strings.Builder
	for lines := bufio.NewReader(conn); ; {
		text, err := lines.ReadString('\n')
		require.NoError(t, err)
		switch strings.TrimSpace(text) {
		case "END", "DELETED", "NOT_FOUND":
			return answer.String()
		}
		answer.WriteString(text)
	}
}
