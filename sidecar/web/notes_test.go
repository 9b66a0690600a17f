package web_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/web"
	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

// A note is on /readyz, which stays 200, in /status.json, and on the page in both
// languages.
func TestNotes_ShownEverywhere(t *testing.T) {
	t.Parallel()
	note := hint.SeveralAddresses("memcached:11211", []string{"10.0.0.4", "10.0.0.5"})
	says := "note: the memcached server memcached:11211 has 2 addresses: 10.0.0.4, 10.0.0.5; sidecars and apps can use different servers, "
	healthy := probe(fixedOps(t, fixedStates()[:1], noOutage), "GET", "/readyz")
	assert.Equal(t, 200, healthy.status)
	assert.Regexp(t, `(?m)^`+says, healthy.body)
	unavailable := probe(fixedOps(t, fixedStates(), noOutage), "GET", "/readyz")
	assert.Equal(t, 503, unavailable.status)
	assert.Regexp(t, `(?m)^`+says, unavailable.body)
	assert.Equal(t, 200, statusCode(fixedOps(t, fixedStates()[:1], noOutage), "/startupz"))

	read := statusOf(t, probe(fixedOps(t, fixedStates(), noOutage), "GET", "/status.json").body)
	require.Len(t, read.Notes, 1)
	assert.Equal(t, "memcached_addresses", read.Notes[0].Code)
	assert.Equal(t, note.Text.English, read.Notes[0].Text.English)
	assert.Equal(t, note.Hint.English, read.Notes[0].Hint.English)

	for language, words := range map[string]string{"en": "use a Service with a ClusterIP and one pod, or name each pod in MEMCACHED_SERVERS", "zh": note.Hint.Chinese} {
		assert.Contains(t, pageOf(t, language, fixedStates(), noOutage), words)
	}
}

// With many notes, /readyz has 20 and counts the rest.
func TestNotes_ManyOnReadyz(t *testing.T) {
	t.Parallel()
	var notes status.Notes
	for i := range 25 {
		notes.Set(fmt.Sprint(i), hint.Note{Code: "x", Text: hint.Hint{English: fmt.Sprint("note ", i)}})
	}
	ops := web.OpsOf(web.OpsConfig{Group: keeper.New(keeper.Config{}), Notes: &notes}, fixedStart, fixedNow, fixedStates()[:1], noOutage)
	body := probe(ops, "GET", "/readyz").body
	assert.Equal(t, 20, strings.Count(body, "note: "))
	assert.Contains(t, body, "\nand 5 more notes; /status.json has them\n")
}
