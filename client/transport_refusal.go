package client

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"unicode/utf8"
)

const (
	// maxPeek bounds how much of an answer is read for its errcode. A refusal has a few
	// hundred bytes.
	maxPeek = 64 << 10
	// firstPeek is what one read asks for. With the end of the answer in the first read,
	// net/http uses the connection again.
	firstPeek = 4 << 10
)

// errcodeOf returns WeChat's errcode, or 0. Its caller can still read all of resp.Body.
// The body alone decides, because WeChat sends refusals under many types:
// application/json:UTF-8, plain/text, image/jpeg or none.
//
// It waits for the first byte that is not white space, and reads on only if that is a
// brace. If the first member is errcode, it reads no further than its value.
func errcodeOf(resp *http.Response) float64 {
	if resp.Body == nil || resp.StatusCode == http.StatusSwitchingProtocols {
		return 0
	}
	seen, code := peek(resp.Body)
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(seen), resp.Body), resp.Body}
	return code
}

// peek returns what it read of body, and the errcode; 0 means none.
func peek(body io.Reader) (seen []byte, code float64) {
	seen = make([]byte, 0, firstPeek)
	for {
		n, err := body.Read(seen[len(seen):cap(seen)])
		seen = seen[:len(seen)+n]
		if code, decided := firstErrcode(seen); decided {
			return seen, code
		}
		switch {
		case err == io.EOF:
			return seen, errcode(seen)
		case err != nil:
			return seen, 0
		case len(seen) == maxPeek: // it can end here
			return seen, errcode(seen)
		case len(seen) == cap(seen):
			seen = append(make([]byte, 0, min(4*cap(seen), maxPeek)), seen...)
		}
	}
}

var (
	byteOrderMark = []byte("\xef\xbb\xbf")
	// member is an object's first member if that is errcode, with its value so far.
	member = regexp.MustCompile(`^\{[ \t\r\n]*"errcode"[ \t\r\n]*:[ \t\r\n]*(?s:(.*))`)
	// scalar is a complete string or number. A number ends at the byte after it.
	scalar = regexp.MustCompile(`^(?:"[^"]*"|[^" \t\r\n,\[{}]+[ \t\r\n,}])`)
	number = regexp.MustCompile(`^"?(-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"?$`)
)

// firstErrcode decides by the beginning of an answer. It returns the errcode if that
// is the first member, and 0 if the answer is no object. What follows the errcode can
// be missing or invalid.
func firstErrcode(seen []byte) (code float64, decided bool) {
	if len(seen) < len(byteOrderMark) && bytes.HasPrefix(byteOrderMark, seen) {
		return 0, false
	}
	object := unmarked(seen)
	if len(object) == 0 || object[0] != '{' {
		return 0, len(object) > 0
	}
	first := member.FindSubmatch(object)
	if first == nil || len(first[1]) == 0 {
		return 0, false
	}
	if first[1][0] == '{' || first[1][0] == '[' {
		return 0, true
	}
	value := scalar.Find(first[1])
	return numeric(bytes.TrimRight(value, " \t\r\n,}")), value != nil
}

// errcode returns the errcode of a whole answer whose first member is another one, or
// 0. It ignores the errcodes of nested objects.
func errcode(answer []byte) float64 {
	object := unmarked(answer)
	if member.Match(object) { // cut off within the value
		return 0
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(legible(object), &members) != nil {
		return 0
	}
	return numeric(members["errcode"])
}

// unmarked returns an answer without its byte order mark and leading white space.
func unmarked(answer []byte) []byte {
	return bytes.TrimLeft(bytes.TrimPrefix(answer, byteOrderMark), " \t\r\n")
}

// legible replaces what JSON forbids and WeChat sends: control characters, NULs after
// the end, and bytes that are not UTF-8. It replaces two bytes of GBK together, because
// the second can be a backslash.
func legible(answer []byte) []byte {
	text := make([]byte, 0, len(answer))
	for len(answer) > 0 {
		r, size := utf8.DecodeRune(answer)
		switch {
		case answer[0] < ' ':
			text = append(text, ' ')
		case r != utf8.RuneError || size > 1:
			text = append(text, answer[:size]...)
		default:
			text = append(text, '?')
			if len(answer) > 1 && answer[1] >= 0x40 && answer[1] != 0x7f && answer[0] > 0x80 {
				size = 2
			}
		}
		answer = answer[size:]
	}
	return text
}

// numeric returns the number that a value is, or that it has between quotes, or 0.
func numeric(value []byte) float64 {
	digits := number.FindSubmatch(value)
	if digits == nil {
		return 0
	}
	code, _ := strconv.ParseFloat(string(digits[1]), 64) // out of range is no errcode
	return code
}
