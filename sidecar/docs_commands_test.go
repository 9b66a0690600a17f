package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

var startsASidecar = regexp.MustCompile(`(?m)bin/sidecar &`)

// TestEveryCommandOfTheDocumentsIsRun types each block of commands into a
// terminal. The Chinese documents have the same ones, which another test says.
func TestEveryCommandOfTheDocumentsIsRun(t *testing.T) {
	t.Parallel()
	for _, name := range english {
		for _, b := range blocks(document(t, name)) {
			if b.language != "sh" {
				continue
			}
			first, _, _ := strings.Cut(b.text, "\n")
			t.Run(name+" "+first, func(t *testing.T) {
				t.Parallel()
				x := newTerminal(t)
				x.block(t, b.text)
			})
		}
	}
}

// block types the commands of a block. What they are to find running is running.
func (x *terminal) block(t *testing.T, text string) {
	t.Helper()
	if !strings.HasPrefix(text, "go build") {
		x.beside(t)
		if !startsASidecar.MatchString(text) && !strings.Contains(text, "systemctl enable") {
			require.Zero(t, x.enter(t, "bin/sidecar 2>/dev/null &").exit)
			x.ready(t)
		}
	}
	x.paste(t, text)
}

// paste types the commands of a block, and waits for what they start.
func (x *terminal) paste(t *testing.T, text string) {
	t.Helper()
	for _, line := range commandLines(text) {
		done := x.enter(t, line)
		assert.Zero(t, done.exit, "%s\n%s", line, x.redact(done.output))
		x.judge(t, done)
		if strings.Contains(line, "systemctl enable") {
			x.startUnit(t)
		}
		if strings.HasPrefix(line, "memcached ") {
			x.memcachedAnswers(t)
		}
		if startsASidecar.MatchString(line) {
			x.ready(t)
		}
	}
	x.standIns.check(t)
}

// commandLines are the commands of a block: a line each, but for those that go on
// in the next one.
func commandLines(text string) []string {
	var all []string
	var begun string
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if begun += line; regexp.MustCompile(`[|\\]$`).MatchString(line) {
			begun = strings.TrimSuffix(begun, `\`)
			continue
		}
		if command := strings.TrimSpace(begun); command != "" && !strings.HasPrefix(command, "#") {
			all = append(all, command)
		}
		begun = ""
	}
	return all
}

// judgements say what a command shows, by what it begins with.
var judgements = []struct {
	begins string
	claim  func(x *terminal, output string) bool
}{
	{"printf 'get ", func(x *terminal, output string) bool {
		return strings.Contains(output, "VALUE "+appID+" 0 ") && strings.Contains(output, x.last())
	}},
	{"printf 'mg " + appID + " t", func(_ *terminal, output string) bool {
		return regexp.MustCompile(`HD t3(600|5\d\d)\r\n`).MatchString(output)
	}},
	{"printf 'mg " + appID + ":lease", func(_ *terminal, output string) bool { return strings.Contains(output, "EN\r\n") }},
	{"printf 'url = ", func(_ *terminal, output string) bool { return strings.Contains(output, `"errcode":0`) }},
	{"curl -H 'X-Wxsidecar: 1'", func(x *terminal, output string) bool {
		return strings.Contains(output, `{"access_token":"`+x.last()+`","expires_in":`)
	}},
	{"sudo -u www-data curl", func(x *terminal, output string) bool {
		return strings.Contains(output, `{"access_token":"`+x.last()+`","expires_in":`)
	}},
	{"curl http://127.0.0.1:7201/readyz", func(_ *terminal, output string) bool { return strings.Contains(output, "ok") }},
	{"bin/sidecar token " + appID, func(x *terminal, output string) bool { return strings.HasSuffix(output, x.last()+"\n") }},
	{"bin/sidecar token --watch", func(x *terminal, output string) bool {
		return strings.Contains(output, memcache.Fingerprint(x.last())+"  from memcached")
	}},
	{"bin/sidecar status", func(_ *terminal, output string) bool { return strings.Contains(output, appID) }},
}

func (x *terminal) judge(t *testing.T, done typed) {
	t.Helper()
	for _, j := range judgements {
		if strings.HasPrefix(done.line, j.begins) {
			assert.True(t, j.claim(x, done.output), "%s shows\n%s", done.line, x.redact(done.output))
		}
	}
}

// commandInProse is a span of code that is a command, by its first word.
var commandInProse = regexp.MustCompile(`^(git|go|make|docker|kubectl|sudo|systemctl|journalctl|curl|openssl|bin/sidecar|sidecar|k8s/e2e/images\.sh) [^…]+$`)

// phrases look like commands and are none: they lack what a table's cell adds.
var phrases = []string{"kubectl apply -n NAMESPACE -k", "docker restart"}

// TestEveryCommandWithinTheProseIsRun too, in one terminal beside a sidecar.
func TestEveryCommandWithinTheProseIsRun(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	x.beside(t)
	require.Zero(t, x.enter(t, "bin/sidecar 2>/dev/null &").exit)
	x.ready(t)
	var run []string
	for _, name := range documents {
		for _, line := range spans(document(t, name)) {
			if !commandInProse.MatchString(line) || slices.Contains(run, line) || slices.Contains(phrases, line) {
				continue
			}
			run = append(run, line)
			if line == "sidecar run" {
				continue // it runs
			}
			done := x.enter(t, strings.TrimPrefix(line, "k8s/e2e/"))
			assert.Zero(t, done.exit, "%s\n%s", line, x.redact(done.output))
		}
	}
	x.standIns.check(t)
	assert.Greater(t, len(run), 10)
}

func TestACommandThatNobodyKnowsIsNoticed(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	for _, line := range []string{
		"wxsidecarctl status", "bin/sidecar", "curl -sf http://127.0.0.1:7201/nothing", "sidecar status --all",
	} {
		done := x.enter(t, line)
		assert.NotZero(t, done.exit, line)
	}
}
