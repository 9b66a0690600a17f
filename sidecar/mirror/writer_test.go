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

// Processes of this test's binary that write a file: without end, or where the
// disk is full at the second one.
const (
	writerEnv = "WXSIDECAR_TEST_WRITER"
	fullEnv   = "WXSIDECAR_TEST_FULL_DISK"
)

// asWriter is such a process, where the environment says so.
func asWriter() {
	if path := os.Getenv(writerEnv); path != "" {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(1) // the test has gone
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
	m.Keep([]string{appID})
	go m.Run(context.Background())
	return m
}

func until(ok func() bool) {
	for !ok() {
		runtime.Gosched()
	}
}

// diskDies are the deaths of the tokens that writeOnFullDisk writes.
var diskDies = [2]time.Time{time.Unix(4_000_000_000, 0), time.Unix(4_000_003_600, 0)}

// writeOnFullDisk writes one file, and another one while no file may have more than
// 20 bytes: its write ends in the midst, as on a full disk. It says what the mirror
// tells, and lifts the limit once a line comes.
func writeOnFullDisk(path string) {
	signal.Ignore(syscall.SIGXFSZ)
	m := writing(path)
	m.Changed(change(1, diskDies[0]))
	until(func() bool { return mirror.Waiting(m) == 0 })
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		panic(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 20, Max: limit.Max}); err != nil {
		panic(err)
	}
	m.Changed(change(2, diskDies[1]))
	until(func() bool { return !m.States()[0].Up() })
	told, _ := json.Marshal(m.States()[0])
	fmt.Println(string(told))
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		os.Exit(1) // the test has gone
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		panic(err)
	}
	until(func() bool { return m.States()[0].Up() })
	fmt.Println("up")
}

// writer is such a process, and its standard input: it ends where that does, and
// so with this one.
func writer(t *testing.T, env, path string) (*exec.Cmd, io.Writer) {
	t.Helper()
	w := exec.Command(os.Args[0], "-test.run=^$")
	w.Env = append(os.Environ(), env+"="+path)
	w.Stderr = os.Stderr
	in, err := w.StdinPipe()
	require.NoError(t, err)
	t.Cleanup(func() { _ = in.Close() })
	return w, in
}

// A full disk leaves the previous file whole, and is reported.
func TestFile_FullDisk(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "access_token.json")
	w, in := writer(t, fullEnv, path)
	out, err := w.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, w.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	var told mirror.State
	require.NoError(t, json.Unmarshal(lines.Bytes(), &told))
	assert.Equal(t, "access_token of "+appID+": write "+path+": file too large", told.Error)
	assert.Equal(t, hint.Volume.English, told.Hint.English)
	assert.True(t, written(path, token(1), diskDies[0]), "the old one is whole")
	assert.Equal(t, []string{"access_token.json"}, names(t, folder), "no half of the new one is left")

	_, err = in.Write([]byte("\n"))
	require.NoError(t, err)
	require.True(t, lines.Scan())
	require.NoError(t, w.Wait())
	assert.True(t, written(path, token(2), diskDies[1]), "once there is room")
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
		for began := time.Now(); len(seen) < 20 && time.Since(began) < patience; { // it is in the midst of it
			text, err := os.ReadFile(path)
			if err == nil {
				require.True(t, json.Valid(text), "half a file was seen")
				seen[string(text)] = true
			}
		}
		require.NoError(t, w.Process.Kill())
		_ = w.Wait() // was killed
		require.Len(t, seen, 20, "it wrote")
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.True(t, json.Valid(text), "half a file was left")
	}
	left := names(t, folder)
	t.Logf("%d temporary files were left by 10 killed writers", len(left)-1)
	for _, name := range left {
		assert.True(t, name == "access_token.json" || strings.HasPrefix(name, ".wxsidecar-"), name)
	}
}
