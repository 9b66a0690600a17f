package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/stretchr/testify/assert"
)

// varying is what differs from one run to the next, or from a reader's machine, and
// what is published of it.
var varying = []struct {
	pattern *regexp.Regexp
	to      string
}{
	{regexp.MustCompile(`"time":"[^"]+"`), `"time":"2026-01-02T15:04:05Z"`},
	{regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d( wx)`), "15:04:07$1"},
	{regexp.MustCompile(`"base_url":"[^"]+"`), `"base_url":"https://api.weixin.qq.com"`},
	{regexp.MustCompile(`("memcached":"|memcached answers \()127\.0\.0\.1:\d+`), "${1}127.0.0.1:11211"},
	{regexp.MustCompile(`"memcached_timeout":"2s"`), `"memcached_timeout":"200ms"`},
	{regexp.MustCompile(`"wechat_timeout":"10s"`), `"wechat_timeout":"5s"`},
	{regexp.MustCompile(`"listen":"[^"]+"`), `"listen":"127.0.0.1:7200"`},
	{regexp.MustCompile(`"ops_listen":"[^"]+"`), `"ops_listen":":7201"`},
	{regexp.MustCompile(`("version":"|version )[^", ]+`), "${1}devel"},
	{regexp.MustCompile(`HD t3(600|5\d\d)\b`), "HD t3598"},
	{regexp.MustCompile(`"expires_in":3[56]\d\d}`), `"expires_in":3572}`},
	{regexp.MustCompile(`\bup \d+ (?:s|min)\b`), "up 2 s"},
	{regexp.MustCompile(`\bseen for \d+s\b`), "seen for 0s"},
	{regexp.MustCompile(`  \d+ (?:s|min)  +[12] h(?: \d+ min)?  +in 5\d min  `), "  2 s  1 h 59 min  in 55 min  "},
}

var (
	afterACommand = regexp.MustCompile(`(?m)^(\$ [^\n]*?) +# .*$`)
	logged        = regexp.MustCompile(`(?m)^\{"time".*\n`)
	fingerprint   = regexp.MustCompile(`<token ([0-9a-f]{8})>`)
	columns       = regexp.MustCompile(` {2,}`)
)

// asPublished is a transcript without what varies. What the sidecar logs stands
// behind its start, whenever it came.
func asPublished(screen, host string) string {
	screen = strings.ReplaceAll(screen, "\r", "")
	screen = afterACommand.ReplaceAllString(screen, "$1")
	log := logged.FindAllString(screen, -1)
	slices.Sort(log) // by time
	screen = logged.ReplaceAllString(screen, "")
	screen = strings.Replace(screen, "$ bin/sidecar &\n", "$ bin/sidecar &\n"+strings.Join(log, ""), 1)
	if token := fingerprint.FindStringSubmatch(screen); token != nil {
		screen = strings.ReplaceAll(screen, token[1], "e4eaa5f4")
	}
	for _, v := range varying {
		screen = v.pattern.ReplaceAllString(screen, v.to)
	}
	screen = regexp.MustCompile(`\b`+regexp.QuoteMeta(host)+`\b`).ReplaceAllString(screen, "my-host")
	return aligned(strings.TrimSpace(screen) + "\n")
}

// aligned sets the columns of status anew: they are as wide as what stood there.
func aligned(screen string) string {
	var all strings.Builder
	w := tabwriter.NewWriter(&all, 0, 0, 2, ' ', 0)
	for line := range strings.Lines(screen) {
		if strings.HasPrefix(line, "STATE ") || strings.HasPrefix(line, "ok  ") {
			line = columns.ReplaceAllString(line, "\t")
		}
		_, _ = w.Write([]byte(line)) // into memory
	}
	_ = w.Flush()
	return all.String()
}

func TestATranscriptIsPublishedWithoutWhatVaries(t *testing.T) {
	t.Parallel()
	assert.Equal(t, `$ bin/sidecar &
{"time":"2026-01-02T15:04:05Z","msg":"started","base_url":"https://api.weixin.qq.com"}
{"time":"2026-01-02T15:04:05Z","msg":"renewed"}
$ curl http://127.0.0.1:7201/readyz
ok
$ bin/sidecar status
STATE  TOKEN     AGE  LEFT        NEXT RENEWAL  RENEWED BY  TODAY
ok     e4eaa5f4  2 s  1 h 59 min  in 55 min     my-host     1 renewed
<token e4eaa5f4>
`, asPublished(`$ bin/sidecar &
{"time":"2026-11-25T06:21:10.5Z","msg":"started","base_url":"http://127.0.0.1:36091"}
$ curl http://127.0.0.1:7201/readyz       # ok, or not
ok
{"time":"2026-11-25T06:21:10.6Z","msg":"renewed"}
$ bin/sidecar status                      # a table
STATE  TOKEN     AGE   LEFT        NEXT RENEWAL  RENEWED BY    TODAY
ok     83c93b68  12 s  1 h 59 min  in 54 min     a1b2c3d4e5f6  1 renewed
<token 83c93b68>
`, "a1b2c3d4e5f6"))
}
