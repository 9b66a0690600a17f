//go:build cluster

package e2e_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// command returns kubectl, ready to start.
func command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, cmp.Or(os.Getenv("KUBECTL"), "kubectl"), args...)
}

// kubectl returns kubectl's output. An error has the arguments and the output, and
// never the input, which can be a Secret.
func kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := command(ctx, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// kubectl runs kubectl in this namespace. A failure fails the test.
func (s *space) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return s.feed(t, "", args...)
}

// feed runs kubectl with a standard input.
func (s *space) feed(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := s.try(t, stdin, args...)
	require.NoError(t, err)
	return out
}

// try runs kubectl in this namespace and returns its error.
func (s *space) try(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	return kubectl(t.Context(), stdin, append([]string{"--namespace", s.name}, args...)...)
}

// get decodes the output of `kubectl get -o json`.
func get[T any](t *testing.T, s *space, args ...string) T {
	t.Helper()
	var object T
	require.NoError(t, json.Unmarshal([]byte(s.kubectl(t, append([]string{"get", "-o", "json"}, args...)...)), &object))
	return object
}

// apply runs `kubectl apply -f -` with objects of any kind.
func (s *space) apply(t *testing.T, objects ...any) {
	t.Helper()
	var text strings.Builder
	for _, object := range objects {
		require.NoError(t, json.NewEncoder(&text).Encode(object))
	}
	s.feed(t, text.String(), "apply", "-f", "-")
}

var forwarding = regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+)`)

// forward runs `kubectl port-forward` until the test ends and returns the address.
func (s *space) forward(t *testing.T, to string, port int) string {
	t.Helper()
	cmd := command(t.Context(), "port-forward", "--namespace", s.name, "--address", "127.0.0.1", to, fmt.Sprintf(":%d", port))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	require.NoError(t, cmd.Start())
	read := make(chan struct{})
	t.Cleanup(func() { // the test's context has ended, and kubectl with it
		<-read
		_ = cmd.Wait()
	})
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	go func() {
		defer close(read)
		_, _ = io.Copy(io.Discard, lines)
	}()
	match := forwarding.FindStringSubmatch(line)
	if err != nil || match == nil {
		<-read
		require.Failf(t, "kubectl port-forward failed", "%s: %s %s", to, line, errs.String())
	}
	return match[1]
}
