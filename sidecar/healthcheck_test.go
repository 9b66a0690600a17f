package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

func TestHealthcheckAsksWhereHealthIs(t *testing.T) {
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

func TestHealthcheckOfNothingIsMisuse(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"off", "canarysecret"} {
		exit, _, stderr := runCLI(t, []string{"SIDECAR_OPS_LISTEN=" + listen}, "healthcheck")
		assert.Equal(t, exitBadUsage, exit)
		assert.Contains(t, stderr, "SIDECAR_OPS_LISTEN")
		programtest.AssertNoCanary(t, stderr)
	}
}

func TestHealthcheckFailsWhereNobodyAnswers(t *testing.T) {
	t.Parallel()
	exit, _, stderr := runCLI(t, []string{"SIDECAR_OPS_LISTEN=" + programtest.Address(t)}, "healthcheck")
	assert.Equal(t, exitFailed, exit)
	assert.Contains(t, stderr, "connection refused")
	assert.Contains(t, stderr, "is it running")
}

func TestHealthcheckTellsWhyTheSidecarIsNotReady(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	w.WeChat.FailAll(40164)
	start(t, w.Environ)
	var stderr string
	eventually(t, func() bool {
		var exit int
		exit, _, stderr = runCLI(t, w.Environ, "healthcheck")
		return exit == exitFailed && assert.ObjectsAreEqual(1, w.WeChat.Calls("", ""))
	}, "a failed call")
	eventually(t, func() bool {
		_, _, stderr = runCLI(t, w.Environ, "healthcheck")
		return strings.Contains(stderr, "errcode")
	}, "a reason")
	assert.Contains(t, stderr, appID)
	assert.Contains(t, stderr, "40164")
}
