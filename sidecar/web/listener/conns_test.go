package listener

import (
	"io"
	"math"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// All connections fit into half of the memory limit.
func TestShare_FitsTheMemoryLimit(t *testing.T) {
	for _, c := range []struct {
		limit    int64
		api, ops int
	}{
		{math.MaxInt64, maxConns, maxConns}, // GOMEMLIMIT is not set
		{1 << 30, 12_288, 4_096},
		{128 << 20, 1_536, 512},
		{32 << 20, 384, 128},
		{16 << 20, 192, minConns},
		{1 << 20, minConns, minConns},
		{0, minConns, minConns},
	} {
		assert.Equal(t, c.api, apiShare.connections(c.limit), "limit %d", c.limit)
		assert.Equal(t, c.ops, opsShare.connections(c.limit), "limit %d", c.limit)
	}
}

// pipes is a listener whose connections are pipes: a Write lasts until the client reads.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) { return <-p, nil }
func (p pipes) Close() error              { return nil }
func (p pipes) Addr() net.Addr            { return nil }

func (p pipes) dial() net.Conn {
	client, server := net.Pipe()
	p <- server
	return client
}

// A connection is not closed while its answer is being written, to admit another. One whose
// answer nobody reads is.
func TestBoundedListener_AnswerHasItsGrace(t *testing.T) {
	for after, stays := range map[time.Duration]bool{grace - time.Millisecond: true, 2*grace + time.Millisecond: false} {
		synctest.Test(t, func(t *testing.T) {
			dialed := make(pipes, 2)
			l := bounded(dialed, 1)
			client := dialed.dial()
			conn, err := l.Accept()
			require.NoError(t, err)
			_ = dialed.dial()
			second := make(chan net.Conn)
			go func() {
				c, _ := l.Accept()
				second <- c
			}()
			time.Sleep(time.Second) // the first is being served
			go func() {
				_, _ = conn.Write([]byte("answer"))
				assert.NoError(t, conn.Close())
			}()
			synctest.Wait()
			time.Sleep(after)
			_, err = io.ReadFull(client, make([]byte, len("answer")))
			assert.Equal(t, stays, err == nil, "after %s: %v", after, err)
			assert.NotNil(t, <-second)
		})
	}
}
