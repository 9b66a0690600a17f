package memcache

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// Inspection is what a server says about itself.
type Inspection struct {
	// Server is its configured name.
	Server string
	// Several are the addresses of the name, if it has several of one family. It needs
	// Config.SeveralAddresses.
	Several []string
	// Stats and Settings are the answers to stats and stats settings. Nil: the server, such
	// as a proxy, has no such command.
	Stats, Settings map[string]string
	// Security is how the connections are protected: Config.Security.
	Security Security
	// Err is why the server does not answer; nil if it does.
	Err error
}

// Inspect asks each server of Config.Servers about itself, all at the same time. It writes
// nothing.
func (s *Store) Inspect(ctx context.Context) []Inspection {
	all := make([]Inspection, len(s.servers))
	var running sync.WaitGroup
	for i, one := range s.servers {
		running.Go(func() {
			all[i] = one.inspect(ctx)
			all[i].Server, all[i].Several, all[i].Security = one.name, one.at.known(), one.security
		})
	}
	running.Wait()
	return all
}

func (s *server) inspect(ctx context.Context) (i Inspection) {
	if i.Err = s.retry(s.client.Ping); i.Err != nil {
		i.Err = s.diagnose(ctx, i.Err)
		return i
	}
	i.Stats, i.Settings = s.stats(ctx, "stats"), s.stats(ctx, "stats settings")
	return i
}

// Diagnose returns the cause of a failure of the credential's server. It is err, or ErrTLS
// instead of ErrClosed if a second connection finds out that the server demands TLS.
func (s *Slot) Diagnose(ctx context.Context, err error) error { return s.server.diagnose(ctx, err) }

func (s *server) diagnose(ctx context.Context, err error) error {
	if errors.Is(err, ErrClosed) && !s.security.TLS && s.speaksTLS(ctx) {
		return ErrTLS
	}
	return err
}

// stats returns the lines of an answer to stats, or nil.
func (s *server) stats(ctx context.Context, command string) map[string]string {
	at := newSelector(s.name).address
	to, err := s.client.DialContext(ctx, at.network, at.name)
	if err != nil {
		return nil
	}
	defer func() { _ = to.Close() }()
	_ = to.SetDeadline(time.Now().Add(answerTimeouts * s.client.Timeout)) // if it fails, so does the write
	if _, err := to.Write([]byte(command + "\r\n")); err != nil {
		return nil
	}
	found := map[string]string{}
	for lines := bufio.NewScanner(to); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "END" {
			return found
		}
		name, value, _ := strings.Cut(strings.TrimPrefix(line, "STAT "), " ")
		if !strings.HasPrefix(line, "STAT ") {
			return nil
		}
		found[name] = value
	}
	return nil
}

// speaksTLS reports whether a handshake succeeds, whoever signed the certificate. Nothing
// is sent over the connection.
func (s *server) speaksTLS(ctx context.Context) bool {
	at := newSelector(s.name).address
	to, err := s.bare(ctx, at.network, at.name)
	if err != nil {
		return false
	}
	defer func() { _ = to.Close() }()
	_ = to.SetDeadline(time.Now().Add(max(s.client.Timeout, minBegin)))                              // as above
	handshake := tls.Client(to, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) // #nosec G402 -- see above
	return handshake.HandshakeContext(ctx) == nil
}

// known returns the addresses of the last dial, if there were several.
func (a *addresses) known() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.several)
}
