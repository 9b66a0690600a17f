package status_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

// A subject's notes replace its earlier ones, and only new ones are to be logged.
func TestNotes_BySubject(t *testing.T) {
	t.Parallel()
	a := hint.Note{Code: "b", Text: hint.Hint{English: "first"}}
	b := hint.Note{Code: "b", Text: hint.Hint{English: "second"}}
	c := hint.Note{Code: "a", Text: hint.Hint{English: "third"}}
	var notes status.Notes
	assert.Empty(t, notes.All())
	assert.Equal(t, []hint.Note{b, a}, notes.Set("one", b, a))
	assert.Equal(t, []hint.Note{c}, notes.Set("other", c))
	assert.Equal(t, []hint.Note{c, a, b}, notes.All(), "by code and text")
	assert.Empty(t, notes.Set("one", b), "it is known")
	assert.Equal(t, []hint.Note{c, b}, notes.All())
	assert.Empty(t, notes.Set("one"))
	assert.Equal(t, []hint.Note{c}, notes.All())
	assert.Equal(t, []hint.Note{b}, notes.Set("one", b), "it was gone meanwhile")
	assert.Empty(t, (*status.Notes)(nil).All())
}
