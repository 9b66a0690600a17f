// Command poll is the floor under an idle sidecar: the polls of a sidecar and
// nothing else, no library but Go's own. Every 10 to 15 s it gets the entry and the
// record of each account from memcached, 100 accounts with one request, over one
// connection. It parses the answer and keeps nothing.
//
// POLL_MEMCACHED is the server, POLL_KEYS a file with the key of each entry, one a line.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// batch is how many accounts a sidecar asks for with one request.
	batch = 100
	// timeout bounds one request, as it does in a sidecar.
	timeout = 200 * time.Millisecond
)

func main() {
	if err := run(os.Getenv("POLL_MEMCACHED"), os.Getenv("POLL_KEYS")); err != nil {
		fmt.Fprintln(os.Stderr, "poll:", err)
		os.Exit(1)
	}
}

func run(server, keys string) error {
	text, err := os.ReadFile(keys) //nolint:gosec // the bench names it
	if err != nil {
		return err
	}
	conn, err := net.Dial("tcp", server) //nolint:gosec,noctx // as above
	if err != nil {
		return err
	}
	entries := strings.Fields(string(text))
	for reader := bufio.NewReader(conn); ; <-time.After(10*time.Second + rand.N(5*time.Second)) { //nolint:gosec // a schedule is no secret
		for some := range slices.Chunk(entries, batch) {
			if err := get(conn, reader, some); err != nil {
				return err
			}
		}
	}
}

// get reads the entries, and then their records, with one request.
func get(conn net.Conn, reader *bufio.Reader, entries []string) error {
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	request := "gets " + strings.Join(entries, " ") + " " + strings.Join(entries, ":record ") + ":record\r\n"
	if _, err := conn.Write([]byte(request)); err != nil {
		return err
	}
	found := make(map[string][]byte, 2*len(entries))
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return err
		}
		words := strings.Fields(line)
		switch {
		case len(words) == 1 && words[0] == "END" && len(found) == 2*len(entries):
			return nil
		case len(words) < 4 || words[0] != "VALUE":
			return errors.New("memcached does not hold every entry and record")
		}
		size, err := strconv.Atoi(words[3])
		if err != nil {
			return err
		}
		value := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(reader, value); err != nil {
			return err
		}
		found[words[1]] = value
	}
}
