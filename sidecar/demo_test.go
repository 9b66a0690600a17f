package main

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// The demo performs its whole script, all its claims hold, and it ends by itself.
func TestDemo_PerformsItsScript(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	exit, stdout, stderr := runCLI(t, nil, "demo", "--for", "5s")
	assert.Equal(t, exitFine, exit, stdout)
	assert.Empty(t, stderr)
	assert.Less(t, time.Since(begin), 10*time.Second)
	for _, part := range []string{
		"printf 'get wxdemo", "status page: http://127.0.0.1:", "export WECHAT_APPID=wxdemo", "request 1 of all sidecars together",
		"from memcached", "external token detected", "restarts", "with 0 requests to WeChat",
		"all callers got 1 new token, with 1 request to WeChat", "invalid tokens read  0", "reads that failed    0", "needless requests    0",
	} {
		missing := !strings.Contains(stdout, part) // a bool: a failure prints the demo once
		assert.False(t, missing, part)
	}
	if t.Failed() {
		t.Log(stdout)
	}
	programtest.AssertNoCanary(t, stdout)
	assert.NotContains(t, stdout, "\x1b", "no colour without a terminal")
}

// A named memcached is used, and only the demo's own keys are deleted there.
// On a busy machine each act of the script can last a second.
func TestDemo_UsesTheNamedMemcached(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	exit, stdout, stderr := runCLI(t, []string{"MEMCACHED_SERVERS=" + w.MemcachedAddress, "MEMCACHED_KEY_PREFIX=mine:"}, "demo", "--for", "8s")
	assert.Equal(t, exitFine, exit, stdout)
	assert.Empty(t, stderr)
	assert.Contains(t, stdout, "get mine:wxdemo")
	assert.Contains(t, stdout, "loses all keys of the demo")
	assert.Zero(t, w.Memcached.Count("flush_all"), "other keys stay")
}

// A named memcached that does not answer is an error with a hint.
func TestDemo_NamedMemcachedIsDown(t *testing.T) {
	t.Parallel()
	exit, _, stderr := runCLI(t, []string{"MEMCACHED_SERVERS=" + programtest.Address(t)}, "demo", "--for", "1s")
	assert.Equal(t, exitFailed, exit)
	assert.Contains(t, stderr, "MEMCACHED_SERVERS")
}

// The demo's status page and table show three accounts, one of which fails.
func TestDemo_StatusShowsAFailingAccount(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	var out, errs programtest.Output
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"demo"}, nil, &out, &errs) }()
	address := ""
	eventually(t, func() bool {
		found := regexp.MustCompile(`sidecar a .*status page: http://(\S+)/\n`).FindStringSubmatch(out.String())
		if found != nil {
			address = found[1]
		}
		return found != nil
	}, "the address of the status page")
	page := ""
	eventually(t, func() bool {
		page = get(t, "http://"+address+"/")
		return regexp.MustCompile(`1 of 3 accounts is unavailable`).MatchString(page) && strings.Count(page, `<article class="ok"`) == 2
	}, "a page with one failing account")
	assert.Regexp(t, `(?s)<article class="unavailable"><header><h2>wxdemo\w+-failing</h2>.*errcode 40125`, page)
	assert.Regexp(t, `<dd>sidecar-[ab]</dd>`, page, "a name that the other sidecar reads too")
	exit, table, _ := runCLI(t, []string{"SIDECAR_OPS_LISTEN=" + address}, "status")
	assert.Equal(t, exitFailed, exit)
	assert.Regexp(t, `(?m)^unavailable +wxdemo\w+-failing .*\n  errcode 40125`, table)
	assert.Regexp(t, `(?m)sidecar a +wxdemo\w+-failing: renewal failed`, out.String())
	eventually(t, func() bool { return regexp.MustCompile(`(?m) reads [0-9a-f]{8}`).MatchString(out.String()) }, "an app reads a token")
	stop()
	assert.Equal(t, exitFine, <-ended, out.String())
	assert.Empty(t, errs.String())
}
