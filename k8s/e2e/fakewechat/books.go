package main

import "time"

// books has a reader's counters. It contains no token.
type books struct {
	Name          string    `json:"name"`
	Ended         bool      `json:"ended"` // these are its last
	Reads         int       `json:"reads"` // those with a token
	FromMemcached int       `json:"from_memcached"`
	FromSidecar   int       `json:"from_sidecar"`
	Failed        int       `json:"failed"`   // those with an error
	Invalid       int       `json:"invalid"`  // tokens that WeChat would have refused at that moment
	Unjudged      int       `json:"unjudged"` // tokens about which the fake did not answer
	Tokens        int       `json:"tokens"`   // different ones
	LongestMS     int       `json:"longest_ms"`
	LastError     string    `json:"last_error,omitempty"`
	LastErrorAt   time.Time `json:"last_error_at,omitzero"`
	// Bearers is the number of bearer tokens in the file of SIDECAR_AUTH_TOKEN_FILE.
	Bearers int `json:"bearers,omitempty"`
	// Last is the fingerprint of the last token.
	Last string `json:"last,omitempty"`
	// Entry is memcached's entry, read directly beside the library's reads. The
	// library avoids a failed memcached for a while, and so does not notice its
	// return at once.
	Entry entryBooks `json:"entry"`
}

// entryBooks records the entry's presence. A gap is a time without an entry.
type entryBooks struct {
	There  bool      `json:"there"`
	Gaps   int       `json:"gaps"`
	LostAt time.Time `json:"lost_at,omitzero"` // of the last gap
	BackAt time.Time `json:"back_at,omitzero"` // of the last gap
}

// saw records one read of the entry. An entry that never existed is not lost.
func (e *entryBooks) saw(there bool, now time.Time) {
	switch {
	case there && !e.There:
		e.BackAt = now
	case !there && e.There:
		e.Gaps++
		e.LostAt = now
	}
	e.There = there
}
