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

// poison is what pecl-memcache makes of the null that the class stores when
// WeChat answers with an error: flags 1, and PHP's serialized null.
const poison = "VALUE " + appID + " 1 2\r\nN;\r\n"

// TestPoison has the class's memcache variant meet an empty memcached. It has no
// AppSecret, so WeChat refuses, and it stores a null; and goes on storing one as
// long as it finds one. Other readers never use it.
func TestPoison(t *testing.T) {
	t.Run("with no other reader it lasts until the next look", func(t *testing.T) {
		t.Parallel()
		s := newPoisoned(t)
		s.rounds(t, "alone")
	})
	t.Run("with another reader it lasts until he asks the sidecar", func(t *testing.T) {
		t.Parallel()
		s := newPoisoned(t)
		readers := s.readers(t)
		s.rounds(t, "with readers")
		for _, p := range readers {
			p.end(t)
			assert.Equal(t, count{uses: p.count.uses}, p.count, "%s never used the null, nor called WeChat", p)
			assert.Zero(t, p.told.Failed, "%s: %s", p, p.told.First)
		}
	})
}

// poisoned is a stage without mirrors, and the program that poisons.
type poisoned struct {
	*stage
	program *program
}

func newPoisoned(t *testing.T) poisoned {
	t.Helper()
	s := poisoned{stage: &stage{world: newWorld(t), plainPHP: map[string]string{}}}
	for extension := range extensions {
		s.plainPHP[extension] = readmeLines(t, extension, s.memcached.Address, s.api)
	}
	s.start(t)
	s.program = &program{name: "class, memcache", start: php("memcache")}
	s.program.begin(t, s.stage)
	return s
}

// readers are the programs that read memcached and know better.
func (s poisoned) readers(t *testing.T) []*program {
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

// rounds poisons and waits for the token to be back, and says how long that took.
func (s poisoned) rounds(t *testing.T, who string) {
	t.Helper()
	rounds := 1
	if long() {
		rounds = 5
	}
	for range rounds {
		require.Eventually(t, func() bool { return s.program.door.so().uses > 0 }, patience, 10*time.Millisecond, "the program runs")
		require.Eventually(t, func() bool {
			found := s.ask(t, "get "+appID)
			if found == poison {
				return true
			}
			s.ask(t, "delete "+appID) // as memcached does where memory runs out
			return false
		}, patience, time.Millisecond, "a null in memcached")
		began, swaps := time.Now(), s.swaps(t)
		// 15 s is the longest time between two looks.
		require.Eventually(t, func() bool { return s.swaps(t) != swaps }, 20*time.Second, time.Millisecond,
			"the null is replaced: at the next look, 15 s after the last one at most")
		// The program may poison it again in the moment of the repair, and the next look repairs that: good is what has
		// stayed for three of its requests.
		var good time.Time
		require.Eventually(t, func() bool {
			if s.memcached.entry(t, memcache.AccessToken) == "" {
				good = time.Time{}
			} else if good.IsZero() {
				good = time.Now()
			}
			return !good.IsZero() && time.Since(good) > 3*every
		}, time.Minute, time.Millisecond, "a token stays in memcached")
		t.Logf("%s: the token was back %s after the null", who, good.Sub(began).Round(time.Millisecond))
	}
	assert.Equal(t, 1, s.wechat.Issues(appID), "nothing was renewed for it")
	so := s.program.door.so()
	assert.Zero(t, so.dead, "a null is no dead token")
	t.Logf("%s: the class called WeChat %d times in vain, and made %d of %d requests without a token", who, so.fetches, so.without, so.uses)
}

// swaps is how memcached counts what was written by compare-and-swap: the sidecar
// alone does so.
func (s poisoned) swaps(t *testing.T) string {
	t.Helper()
	_, stats, _ := strings.Cut(s.ask(t, "stats"), "STAT cas_hits ")
	swaps, _, found := strings.Cut(stats, "\r\n")
	require.True(t, found)
	return swaps
}

// ask says one line to memcached and returns its whole answer, without END.
func (s poisoned) ask(t *testing.T, line string) string {
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
