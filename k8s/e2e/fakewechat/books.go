package main

import "time"

// books is what a reader has seen so far. It holds no token.
type books struct {
	Name          string    `json:"name"`
	Ended         bool      `json:"ended"` // these are its last
	Reads         int       `json:"reads"` // those that brought a token
	FromMemcached int       `json:"from_memcached"`
	FromSidecar   int       `json:"from_sidecar"`
	Failed        int       `json:"failed"`   // those that brought an error
	Invalid       int       `json:"invalid"`  // tokens that WeChat would have refused at that moment
	Unjudged      int       `json:"unjudged"` // tokens about which the fake did not answer
	Tokens        int       `json:"tokens"`   // different ones
	LongestMS     int       `json:"longest_ms"`
	LastError     string    `json:"last_error,omitempty"`
	LastErrorAt   time.Time `json:"last_error_at,omitzero"`
	// Last is the fingerprint of the last token.
	Last string `json:"last,omitempty"`
	// Entry is memcached's entry, looked at directly beside the reads: the library
	// passes over a memcached that failed, and so does not notice at once that
	// it is back.
	Entry entryBooks `json:"entry"`
}

// entryBooks is the entry's presence: gaps are the times without one.
type entryBooks struct {
	There  bool      `json:"there"`
	Gaps   int       `json:"gaps"`
	LostAt time.Time `json:"lost_at,omitzero"` // of the last gap
	BackAt time.Time `json:"back_at,omitzero"` // of the last gap
}

// saw notes one look at the entry. What was never there is not lost.
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
