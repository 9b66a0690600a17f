package status

import (
	"cmp"
	"slices"
	"sync"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
)

// Notes has what people should know although all credentials can be valid: /readyz, the
// status page and /status.json show it. It is safe for concurrent use, and its zero value
// has no note.
type Notes struct {
	mu        sync.Mutex
	bySubject map[string][]hint.Note // mu guards it
}

// Set replaces the notes about a subject: a file, a server, a folder with many files. No
// notes remove them. It returns those that are new, for the log.
func (n *Notes) Set(subject string, notes ...hint.Note) (added []hint.Note) {
	n.mu.Lock()
	defer n.mu.Unlock()
	before := n.bySubject[subject]
	if n.bySubject == nil {
		n.bySubject = map[string][]hint.Note{}
	}
	n.bySubject[subject] = notes
	if len(notes) == 0 {
		delete(n.bySubject, subject)
	}
	return slices.DeleteFunc(slices.Clone(notes), func(one hint.Note) bool { return slices.Contains(before, one) })
}

// All returns all notes, sorted by code and text. A nil *Notes has none.
func (n *Notes) All() []hint.Note {
	if n == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []hint.Note
	for _, notes := range n.bySubject {
		all = append(all, notes...)
	}
	slices.SortFunc(all, func(a, b hint.Note) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Text.English, b.Text.English))
	})
	return all
}
