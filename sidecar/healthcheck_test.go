package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// A wildcard address is probed on loopback.
func TestProbeAddress_Cases(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		":7201":              "tcp 127.0.0.1:7201",
		"0.0.0.0:1":          "tcp 127.0.0.1:1",
		"[::]:1":             "tcp [::1]:1",
		"[::1]:1":            "tcp [::1]:1",
		"10.1.2.3:1":         "tcp 10.1.2.3:1",
		"localhost:1":        "tcp localhost:1",
		"unix:///run/a.sock": "unix /run/a.sock",
	} {
		network, address, ok := probeAddress(listen)
		assert.True(t, ok, listen)
		assert.Equal(t, want, network+" "+address)
	}
}

// If the sidecar is not ready, healthcheck prints why.
func TestHealthcheck_PrintsTheReason(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	w.WeChat.FailAll(40164)
	start(t, w.Environ)
	var stderr string
	eventually(t, func() bool {
		var exit int
		exit, _, stderr = runCLI(t, w.Environ, "healthcheck")
		return exit == exitFailed && strings.Contains(stderr, "errcode")
	}, "a reason")
	assert.Contains(t, stderr, appID)
	assert.Contains(t, stderr, "40164")
}
