//go:build unix

// Package mirrortest runs a real MariaDB for tests, on loopback and a unix socket. It has
// its own certificate and a temporary folder. The server is in Debian's package
// mariadb-server. Without it, tests fail instead of being skipped.
package mirrortest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver of Exec
)

// startTimeout bounds the start of a server on a busy machine.
const startTimeout = time.Minute

// Server is a MariaDB. Only one goroutine at a time can start, stop and signal it.
type Server struct {
	dir     string
	port    int
	options []string
	process *exec.Cmd // nil while it does not run
	watcher *exec.Cmd // ends the server if this process ends first
	leash   io.Closer
	db      *sql.DB // root's
}

// Start starts a server with additional options. Close ends it.
func Start(options ...string) (*Server, error) {
	dir, err := os.MkdirTemp("", "wxdb") // a socket's path must be short
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, options: options}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Server) prepare() error {
	if err := s.choosePort(); err != nil {
		return err
	}
	if err := s.certify(); err != nil {
		return err
	}
	install := exec.Command("mariadb-install-db", append(s.common(), "--auth-root-authentication-method=normal", "--skip-test-db")...) //nolint:gosec,noctx // a fixed program
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Errorf("mariadb-install-db: %w: is mariadb-server installed? run .ci/setup\n%s", err, tail(out))
	}
	var err error
	s.db, err = sql.Open("mysql", s.DSN("")+"?timeout=1s&readTimeout=10s")
	if err != nil {
		return err
	}
	s.db.SetMaxIdleConns(0) // no connection outlives a restart
	return s.Run()
}

// choosePort finds a port below those for outgoing connections (32,768 and up on Linux),
// which could take it before the server starts.
func (s *Server) choosePort() error {
	for {
		s.port = 30_000 + rand.IntN(2_768)              //nolint:gosec // no secret
		listener, err := net.Listen("tcp", s.Address()) //nolint:noctx // free or not
		if err == nil {
			return listener.Close()
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
	}
}

// common returns the options for installation and run: small, and without durability.
func (s *Server) common() []string {
	args := []string{
		"--no-defaults", "--datadir=" + filepath.Join(s.dir, "data"), "--innodb-flush-log-at-trx-commit=0",
		"--innodb-log-file-size=5M", "--innodb-buffer-pool-size=8M", "--innodb-flush-method=nosync", "--innodb-use-native-aio=0",
		"--skip-name-resolve", "--tmpdir=" + s.dir, // several servers share a machine, and each start empties the folder
	}
	if os.Getuid() == 0 {
		args = append(args, "--user=root")
	}
	return args
}

// Run starts the server, also after Kill. It returns once the server answers.
func (s *Server) Run() error {
	args := append(s.common(),
		"--socket="+s.Socket(), "--bind-address=127.0.0.1", "--port="+strconv.Itoa(s.port), "--performance-schema=off",
		"--pid-file="+filepath.Join(s.dir, "pid"), "--ssl-cert="+s.file("server.pem"), "--ssl-key="+s.file("server.key"),
		"--max-connections=100")
	s.process = exec.Command("mariadbd", append(args, s.options...)...) //nolint:gosec,noctx // a fixed program
	log, err := os.Create(s.file("log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	s.process.Stdout, s.process.Stderr = log, log
	s.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the test
	if err := s.process.Start(); err != nil {
		s.process = nil
		return err
	}
	if err := s.watch(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for err = s.db.PingContext(ctx); err != nil; err = s.db.PingContext(ctx) {
		select {
		case <-ctx.Done():
			text, _ := os.ReadFile(s.file("log"))
			return fmt.Errorf("mariadbd does not answer: %w\n%s", err, tail(text))
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// watch starts a process that kills the server after this process has ended.
func (s *Server) watch() error {
	s.watcher = exec.Command("sh", "-c", `read -r _; kill -KILL "$1"`, "sh", strconv.Itoa(s.process.Process.Pid)) //nolint:gosec,noctx // a fixed program
	s.watcher.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	leash, err := s.watcher.StdinPipe()
	if err != nil {
		return err
	}
	s.leash = leash
	return s.watcher.Start()
}

// Kill simulates a crash. Run starts the server again with its data.
func (s *Server) Kill() {
	if s.watcher != nil { // first, because another process can get the server's id
		_ = s.watcher.Process.Kill()
		_ = s.watcher.Wait() // was killed
		_ = s.leash.Close()
		s.watcher = nil
	}
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait() // was killed
		s.process = nil
	}
}

// Freeze stops the process: it accepts connections and does not answer. It returns when all
// threads are stopped: until its main thread runs again, the others still answer.
func (s *Server) Freeze() error {
	if err := s.process.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(s.process.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil {
		return err
	}
	if !status.Stopped() {
		return errors.New("it ended")
	}
	return nil
}

// Thaw continues the process.
func (s *Server) Thaw() error { return s.process.Process.Signal(syscall.SIGCONT) }

// Close ends the server and removes its folder.
func (s *Server) Close() error {
	s.Kill()
	if s.db != nil {
		_ = s.db.Close() // no statement runs
	}
	return os.RemoveAll(s.dir)
}

// Socket returns the path of the unix socket.
func (s *Server) Socket() string { return s.file("s") }

// Address returns the host:port.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// DSN returns the DSN of a database for root over the unix socket, without parameters.
func (s *Server) DSN(database string) string { return "root@unix(" + s.Socket() + ")/" + database }

// DB returns root's connections, without a database.
func (s *Server) DB() *sql.DB { return s.db }

func (s *Server) file(name string) string { return filepath.Join(s.dir, name) }

// tail returns the last lines of a program's output.
func tail(out []byte) []byte {
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-60):], []byte("\n"))
}
