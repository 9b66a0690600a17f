package memcachetest

import (
	"bytes"
	"strconv"
)

// parseUint parses an unsigned number of 64 bits as memcached does: with a plus, but
// not with a minus.
func parseUint(word []byte) (uint64, bool) {
	n, rest, ok := leadingUint(word)
	return n, ok && len(rest) == 0
}

// parseInt parses a number and keeps its low 32 bits, as memcached does: exptime
// 2147483648 is negative.
func parseInt(word []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(word), 10, 64)
	return int64(int32(n & 0xffffffff)), err == nil //nolint:gosec // intended
}

// parseCounter parses the value of incr and decr. Spaces can precede the number, and
// anything can follow it after a space.
func parseCounter(value string) (uint64, bool) {
	const spaces = " \t\n\v\f\r"
	n, rest, ok := leadingUint(bytes.TrimLeft([]byte(value), spaces))
	return n, ok && (len(rest) == 0 || bytes.IndexByte([]byte(spaces), rest[0]) >= 0)
}

// leadingUint parses the number at the beginning of text, and returns the rest.
func leadingUint(text []byte) (n uint64, rest []byte, ok bool) {
	if len(text) > 0 && text[0] == '+' {
		text = text[1:]
	}
	end := 0
	for end < len(text) && text[end] >= '0' && text[end] <= '9' {
		digit := uint64(text[end] - '0')
		if n > (1<<64-1-digit)/10 {
			return 0, nil, false
		}
		n = n*10 + digit
		end++
	}
	return n, text[end:], end > 0
}
