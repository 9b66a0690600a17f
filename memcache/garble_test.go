package memcache_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// nonsense gives every connection the same answer to any request, and closes it.
func nonsense(t *testing.T, answer string) (address string) {
	t.Helper()
	return streams(t, func(conn net.Conn) { _, _ = conn.Write([]byte(answer)) })
}

var garbled = map[string]string{
	"nothing":                    "",
	"a line feed":                "\n",
	"a line end":                 "\r\n",
	"only the token":             token1,
	"a line":                     token1 + "\r\n",
	"a line that does not end":   strings.Repeat(token1, 1000),
	"ERROR":                      "ERROR " + token1 + "\r\n",
	"CLIENT_ERROR":               "CLIENT_ERROR " + token1 + "\r\n",
	"CLIENT_ERROR, no more":      "CLIENT_ERROR \n",
	"SERVER_ERROR":               "SERVER_ERROR " + token1 + "\r\n",
	"a value's line, cut":        "VALUE " + token1 + "\r\n",
	"a value's flags":            "VALUE wx0 " + token1 + " 13 1\r\n" + token1 + "\r\nEND\r\n",
	"a value's size":             "VALUE wx0 0 " + token1 + " 1\r\n" + token1 + "\r\nEND\r\n",
	"a value's id":               "VALUE wx0 0 13 " + token1 + "\r\n" + token1 + "\r\nEND\r\n",
	"a value that is longer":     "VALUE wx0 0 11 1\r\n" + token1 + "\r\nEND\r\n",
	"a value that is shorter":    "VALUE wx0 0 15 1\r\n" + token1 + "\r\nEND\r\n",
	"a value without END":        "VALUE wx0 0 13 1\r\n" + token1 + "\r\n",
	"a value, then something":    "VALUE wx0 0 13 1\r\n" + token1 + "\r\n" + token1 + "\r\n",
	"another account's value":    "VALUE wx9 0 13 1\r\n" + token1 + "\r\nEND\r\n",
	"STORED, and more":           "STORED " + token1 + "\r\n",
	"END, and more":              "END " + token1 + "\r\n",
	"a number, and more":         "1" + token1 + "\r\n",
	"Redis":                      "-ERR unknown command 'gets', with args beginning with: '" + token1 + "'\r\n",
	"a web server":               "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n" + token1,
	"a reply of the binary kind": "\x81\x00\x00\x00" + token1,
}

// The first answers are correct, so that there is a scene.
func TestGarbled_IsAFailureWithoutQuotes(t *testing.T) {
	t.Parallel()
	for story, answer := range garbled {
		t.Run(story, func(t *testing.T) {
			t.Parallel()
			fake := memcachetest.New()
			defer func() { assert.NoError(t, fake.Close()) }()
			d := &dials{dial: fake.Dial}
			store := open(t, memcache.Config{Servers: []string{nonsense(t, answer)}, Dial: d.Dial, Timeout: 10 * time.Second})
			sc := newScene(t, store)
			require.NoError(t, fake.Close(), "from now on: nonsense")
			d.dial = new(net.Dialer).DialContext
			for name, operation := range operations {
				err := operation(sc)
				require.Error(t, err, name)
				assertFailure(t, err)
				_ = store.Close()
			}
		})
	}
}

// The rest of an answer is not read as the next answer.
func TestGarbled_OutOfStepIsNotTheNextAnswer(t *testing.T) {
	t.Parallel()
	address := nonsense(t, garbled["another account's value"])
	slots := manySlots(t, open(t, memcache.Config{Servers: []string{address}, Timeout: 10 * time.Second}), 2)
	token, err := slots[0].Get()
	assertFailure(t, err)
	require.Empty(t, token)
	_, err = slots[0].Entry()
	assertFailure(t, err)
	_, err = slots[0].Poll()
	assertFailure(t, err)
}

// The error for another protocol says what to check.
func TestGarbled_OtherProtocolHasAHint(t *testing.T) {
	t.Parallel()
	address := nonsense(t, garbled["Redis"])
	err := open(t, memcache.Config{Servers: []string{address}}).Ping()
	assertFailure(t, err)
	assert.EqualError(t, err, "memcache: the answer is not of memcached's protocol; check the server's address")
}
