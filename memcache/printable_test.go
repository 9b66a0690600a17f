package memcache

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
)

// Eight bytes at a time are judged as one at a time.
func TestPrintableBytes_SameAsOneByOne(t *testing.T) {
	for length := range 20 {
		for at := range length {
			for c := range 256 {
				for _, around := range []byte{'a', 0x21, 0x7e, 0x80, 0xff} {
					b := bytes.Repeat([]byte{around}, length)
					b[at] = byte(c)
					if printableBytes(b) != printable(string(b)) {
						assert.Failf(t, "differs", "%#x at %d of %d among %#x", c, at, length, around)
					}
				}
			}
		}
	}
	assert.True(t, printableBytes(nil))
}
