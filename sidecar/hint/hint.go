// Package hint holds what a person can do about a failure, in English and Chinese.
// Each hint that a status page shows is one of those here. A hint that only log lines or
// refusals show can be an English text beside its code.
//
// Programs compare hints, and people read them: a hint's words may change at any time.
package hint

// Hint is what a person can do about a failure. The zero Hint is none.
type Hint struct {
	English string // for log lines and API errors: no capital and no full stop
	Chinese string // whole sentences
}

// String returns the English words.
func (h Hint) String() string { return h.English }

// MarshalText returns the English words, for log lines and JSON.
func (h Hint) MarshalText() ([]byte, error) { return []byte(h.English), nil }

// UnmarshalText takes text for the English words.
func (h *Hint) UnmarshalText(text []byte) error {
	h.English = string(text)
	return nil
}

// Fault is for failures that only a change of this program can end.
var Fault = Hint{"report it as a fault of wxsidecar", "这是 wxsidecar 的缺陷，请反馈。"}
