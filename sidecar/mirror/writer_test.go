package mirror_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
)

// Variables that make this test's binary write a file: forever, or with a full disk
// at the second write.
const (
	writerEnv = "WXSIDECAR_TEST_WRITER"
	fullEnv   = "WXSIDECAR_TEST_FULL_DISK"
)

// asWriter runs such a process if the environment has the variable.
func asWriter() {
	if path := os.Getenv(writerEnv); path != "" {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(1) // the test has ended
		}()
		m := writing(path)
		for n := 0; ; n++ {
			m.Changed(change(n, inTwoHours()))
			until(func() bool { return mirror.Waiting(m) == 0 })
		}
	}
	if path := os.Getenv(fullEnv); path != "" {
		writeOnFullDisk(path)
		os.Exit(0)
	}
}

func writing(path string) *mirror.Mirror {
	m := mirror.New(mirror.Config{File: path})
	m.SetAccounts([]string{appID})
	go m.Run(context.Background())
	return m
}

func until(ok func() bool) {
	for !ok() {
		runtime.Gosched()
	}
}

// diskExpires are the expiry times of the tokens that writeOnFullDisk writes.
var diskExpires = [2]time.Time{time.Unix(4_000_000_000, 0), time.Unix(4_000_003_600, 0)}

// writeOnFullDisk writes one file, and then another with a limit of 20 bytes for a
// file. The second write fails halfway, as on a full disk. It prints the mirror's
// state, and removes the limit after a line of input.
func writeOnFullDisk(path string) {
	signal.Ignore(syscall.SIGXFSZ)
	m := writing(path)
	m.Changed(change(1, diskExpires[0]))
	until(func() bool { return mirror.Waiting(m) == 0 })
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		panic(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 20, Max: limit.Max}); err != nil {
		panic(err)
	}
	m.Changed(change(2, diskExpires[1]))
	until(func() bool { return !m.States()[0].Up() })
	state, _ := json.Marshal(m.States()[0])
	fmt.Println(string(state))
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		os.Exit(1) // the test has ended
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		panic(err)
	}
	until(func() bool { return m.States()[0].Up() })
	fmt.Println("up")
}

// writer returns such a process and its standard input. It ends when the input ends,
// so with this process.
func writer(t *testing.T, env, path string) (*exec.Cmd, io.Writer) {
	t.Helper()
	w := exec.Command(os.Args[0], "-test.run=^$")
	w.Env = append(os.Environ(), env+"="+path)
	w.Stderr = os.Stderr
	in := must(w.StdinPipe())(t)
	t.Cleanup(func() { _ = in.Close() })
	return w, in
}

// A full disk leaves the previous file whole, and is reported.
func TestFile_FullDisk(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "access_token.json")
	w, in := writer(t, fullEnv, path)
	out := must(w.StdoutPipe())(t)
	require.NoError(t, w.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	var failing mirror.State
	require.NoError(t, json.Unmarshal(lines.Bytes(), &failing))
	assert.Equal(t, "access_token of "+appID+": write "+path+": file too large", failing.Error)
	assert.Equal(t, hint.Volume.English, failing.Hint.English)
	assert.True(t, written(path, token(1), diskExpires[0]), "the previous file is whole")
	assert.Equal(t, []string{"access_token.json"}, names(t, folder), "no temporary file is left")

	_ = must(in.Write([]byte("\n")))(t)
	require.True(t, lines.Scan())
	require.NoError(t, w.Wait())
	assert.True(t, written(path, token(2), diskExpires[1]), "once there is room")
}

// A killed writer never leaves half a file.
func TestFile_KilledWriter(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "access_token.json")
	for range 10 {
		w, _ := writer(t, writerEnv, path)
		require.NoError(t, w.Start())
		seen := map[string]bool{}
		for began := time.Now(); len(seen) < 20 && time.Since(began) < patience; { // while it writes
			text, err := os.ReadFile(path)
			if err == nil {
				require.True(t, json.Valid(text), "half a file was seen")
				seen[string(text)] = true
			}
		}
		require.NoError(t, w.Process.Kill())
		_ = w.Wait() // was killed
		require.Len(t, seen, 20, "it wrote")
		text := must(os.ReadFile(path))(t)
		assert.True(t, json.Valid(text), "half a file was left")
	}
	left := names(t, folder)
	t.Logf("%d temporary files were left by 10 killed writers", len(left)-1)
	for _, name := range left {
		assert.True(t, name == "access_token.json" || strings.HasPrefix(name, ".wxsidecar-"), name)
	}
}
