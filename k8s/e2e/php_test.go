//go:build cluster

package e2e_test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const phpApp = "app-php-with-sidecar"

// appPHPWithSidecar applies k8s/app-php-with-sidecar with another address of
// WeChat.
func appPHPWithSidecar(t *testing.T) {
	s := newSpace(t, "php")
	s.withWeChat(t, 0)
	s.withShared(t)
	t.Run("its app starts after its sidecar, and its first read brings a token", func(t *testing.T) { s.startsWithAHit(t, phpApp) })

	t.Run("without the entry PHP asks the sidecar over its unix socket", func(t *testing.T) {
		before := s.counts(t)
		forget := s.forgetter(t)
		for _, pod := range s.pods(t, phpApp) {
			var log string
			read := func() { log = s.kubectl(t, "logs", pod.Name, "-c", "app") }
			read()
			was := strings.Count(log, "from sidecar")
			// Repeatedly: a miss makes a sidecar poll, so the entry is back before the other pod's app reads again.
			took := poll(t, time.Minute, pod.Name+" reads from the sidecar", func() (bool, string) {
				forget()
				read()
				return strings.Count(log, "from sidecar") > was, fmt.Sprintf("%d lines", strings.Count(log, "\n"))
			})
			back := poll(t, time.Minute, pod.Name+" reads from memcached again", func() (bool, string) {
				read()
				later := log[strings.LastIndex(log, "from sidecar")+1:]
				return strings.Contains(later, "from memcached"), fmt.Sprintf("%d lines", strings.Count(log, "\n"))
			})
			assert.NotContains(t, log, "no token")
			t.Logf("%s: a miss after %s, read from memcached again %s later; in all %d reads from memcached, %d from the sidecar, none failed",
				pod.Name, short(took), short(back), strings.Count(log, "from memcached"), strings.Count(log, "from sidecar"))
		}
		assert.Equal(t, before.Requests, s.counts(t).Requests, "requests to WeChat")
	})
}

// forgetter deletes memcached's entry at each call, as an eviction does.
func (s *space) forgetter(t *testing.T) (forget func()) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.forward(t, "service/memcached", 11211))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	replies := bufio.NewReader(conn)
	return func() {
		_, err := fmt.Fprintf(conn, "delete %s\r\n", appID)
		require.NoError(t, err)
		reply, err := replies.ReadString('\n')
		require.NoError(t, err)
		require.Contains(t, []string{"DELETED\r\n", "NOT_FOUND\r\n"}, reply)
	}
}
