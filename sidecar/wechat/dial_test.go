package wechat

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// While the network is not there yet, the first packets are lost: a second connection is
// tried after 1 s, and the late one is closed.
func TestDial_LostPacketsCostASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late, lateEnd := net.Pipe()
		second, secondEnd := net.Pipe()
		defer func() { _ = secondEnd.Close() }()
		var tries atomic.Int32
		start := time.Now()
		conn, err := repeated(func() (net.Conn, error) {
			if tries.Add(1) == 1 {
				time.Sleep(3 * time.Second)
				return late, nil
			}
			return second, nil
		})
		require.NoError(t, err)
		assert.Equal(t, second, conn)
		assert.Equal(t, time.Second, time.Since(start))
		_, err = lateEnd.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		assert.Equal(t, 3*time.Second, time.Since(start))
		assert.EqualValues(t, 2, tries.Load())
	})
}

// A refusal is returned at once: another host can be tried.
func TestDial_RefusalAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, refused := time.Now(), errors.New("connection refused")
		_, err := repeated(func() (net.Conn, error) { return nil, refused })
		require.ErrorIs(t, err, refused)
		assert.Zero(t, time.Since(start))
	})
}

// All tries end with the attempt.
func TestDial_EndsWithTheAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		start := time.Now()
		_, err := repeated(func() (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 5*time.Second, time.Since(start))
	})
}
