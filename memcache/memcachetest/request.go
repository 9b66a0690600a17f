package memcachetest

// step runs one command, or one key of a get, on the store. It appends its answer to out
// and never waits.
type step func(st *store, r *request, out []byte) []byte

// request is a parsed command line. The next command reuses it.
type request struct {
	*command
	args    [][]byte // the words after the verb
	keys    [][]byte
	key     []byte // the current key
	noreply bool
	answer  string // the answer if the line alone determines it

	size     int // of the value that follows; -1 means none
	tooLarge bool
	value    []byte
	flags    uint32
	exptime  int64
	unique   uint64 // the CAS id in the command
	delta    uint64
}

// Answers to bad lines.
const (
	answerError      = "ERROR\r\n"
	answerBadLine    = "CLIENT_ERROR bad command line format\r\n"
	answerBadChunk   = "CLIENT_ERROR bad data chunk\r\n"
	answerBadDelta   = "CLIENT_ERROR invalid numeric delta argument\r\n"
	answerBadExptime = "CLIENT_ERROR invalid exptime argument\r\n"
	answerBadDelete  = "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"
	answerTooLarge   = "SERVER_ERROR object too large for cache\r\n"
	answerNoDelay    = "SERVER_ERROR memcachetest does not support flush_all with a delay\r\n"
)

// unknown is an unknown command.
var unknown command

// parse parses a command line.
func (r *request) parse(line []byte) {
	args := r.args[:0]
	*r = request{command: &unknown, keys: r.keys[:0], size: -1}
	for word := range words(line) {
		args = append(args, word)
	}
	if len(args) == 0 {
		r.args, r.answer = args, answerError
		return
	}
	known := commands[string(args[0])]
	r.args = args
	if known == nil {
		r.answer = answerError
		return
	}
	r.command = known
	words := args[1:]
	if len(words) < known.least || known.most >= 0 && len(words) > known.most {
		r.answer = answerError
		return
	}
	if known.quiet && len(words) > 0 && string(words[len(words)-1]) == "noreply" {
		r.noreply = true
	}
	short := r.readKeys(words)
	if !short && !known.late {
		r.answer = answerBadLine
		return
	}
	if known.read != nil {
		r.answer = known.read(r, words)
	}
	if !short && r.answer == "" {
		r.answer = answerBadLine
	}
}

// words yields the words between spaces.
func words(line []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for start := 0; start < len(line); {
			if line[start] == ' ' {
				start++
				continue
			}
			end := start + 1
			for end < len(line) && line[end] != ' ' {
				end++
			}
			if !yield(line[start:end]) {
				return
			}
			start = end
		}
	}
}

// readKeys sets the command's keys, and reports whether none is too long.
func (r *request) readKeys(words [][]byte) (short bool) {
	switch {
	case r.each != nil && r.aged:
		words = words[1:] // gat's exptime comes first
	case r.each == nil && r.keyed:
		words = words[:1]
	case r.each == nil:
		return true
	}
	short = true
	for _, key := range words {
		short = short && len(key) <= maxKey
		r.keys = append(r.keys, key)
	}
	if len(r.keys) > 0 {
		r.key = r.keys[0]
	}
	return short
}

// take sets the value that followed the line, with its CRLF.
func (r *request) take(body []byte) {
	if string(body[r.size:]) != "\r\n" {
		r.answer = answerBadChunk
		return
	}
	r.value = body[:r.size]
}

// readStorage parses "key flags exptime bytes [cas id]".
func readStorage(r *request, words [][]byte) string {
	flags, ok := parseUint(words[1])
	exptime, okTime := parseInt(words[2])
	size, okSize := parseInt(words[3])
	if !ok || !okTime || !okSize || size < 0 || size > 1<<31-3 {
		return answerBadLine
	}
	if r.verb == "cas" {
		if r.unique, ok = parseUint(words[4]); !ok {
			return answerBadLine
		}
	}
	r.flags = uint32(flags & 0xffffffff)
	r.exptime = exptime
	r.size = int(size)
	r.tooLarge = !fits(r.key, r.flags, r.size)
	return ""
}

// readDelta parses "key delta".
func readDelta(r *request, words [][]byte) string {
	var ok bool
	if r.delta, ok = parseUint(words[1]); !ok {
		return answerBadDelta
	}
	return ""
}

// readTouch parses "key exptime".
func readTouch(r *request, words [][]byte) string {
	var ok bool
	if r.exptime, ok = parseInt(words[1]); !ok {
		return answerBadExptime
	}
	return ""
}

// readGat parses "exptime key…".
func readGat(r *request, words [][]byte) string {
	var ok bool
	if r.exptime, ok = parseInt(words[0]); !ok {
		return answerBadExptime
	}
	return ""
}

// readDelete parses "key [0] [noreply]"; old clients send the 0.
func readDelete(r *request, words [][]byte) string {
	rest := words[1:]
	if len(rest) > 0 && string(rest[0]) == "0" {
		rest = rest[1:]
	}
	if len(rest) == 0 || len(rest) == 1 && r.noreply {
		return ""
	}
	return answerBadDelete
}

// readFlush parses "[0] [noreply]".
func readFlush(r *request, words [][]byte) string {
	if len(words) == 0 || len(words) == 1 && r.noreply {
		return ""
	}
	delay, ok := parseInt(words[0])
	switch {
	case !ok:
		return answerBadExptime
	case delay > 0:
		return answerNoDelay
	}
	return ""
}

// readVerbosity parses "level [noreply]".
func readVerbosity(r *request, words [][]byte) string {
	if _, ok := parseUint(words[0]); !ok && !r.noreply {
		return answerBadLine
	}
	return ""
}
