package memcachetest

import "time"

// Fault is a way in which memcached, or the connection to it, fails. Some faults look the
// same to the client, and differ in whether the command ran. A client with a lost answer
// must find out which.
type Fault int

const (
	// None is no fault.
	None Fault = iota
	// Refuse refuses new connections and cuts the existing ones. If a hook returns it,
	// it is DropBefore for one command.
	Refuse
	// Hang accepts and reads, but never answers and runs nothing. The connection stays
	// silent until its client closes it.
	Hang
	// HangAfter runs the command and never answers. The connection stays silent, as
	// with Hang.
	HangAfter
	// DropBefore cuts the connection and does not run the command.
	DropBefore
	// DropAfter runs the command and cuts the connection without an answer.
	DropAfter
	// DropMid runs the command, sends the first half of the answer, and cuts the
	// connection.
	DropMid
	// ServerError answers "SERVER_ERROR out of memory storing object" and runs nothing.
	ServerError
	// Slow runs the command at once and answers after the delay, see SetDelay.
	Slow
)

// Command is a command before it runs.
type Command struct {
	// Verb is the command's name; empty means an unknown command.
	Verb string
	// Keys are the command's keys in order; none for version, flush_all and the like.
	Keys []string
}

// SetFault sets the fault of all commands from now on; None heals. A command that hangs
// stays hung until its client closes the connection.
func (s *Server) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
	if f == Refuse {
		s.cutAll()
	}
}

// SetDelay sets how long Slow delays an answer; zero means not at all.
func (s *Server) SetDelay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// OnCommand sets a hook that is called before each command; nil means none. A returned
// fault other than None has priority over SetFault. The hook runs in the connection's
// goroutine without a lock: it can wait, and it can call the Server's methods except
// Close. So a test can let something happen just before a certain command.
func (s *Server) OnCommand(hook func(Command) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// Count returns the number of received commands with this verb, whether they ran or not.
// "get" and "gets" are counted separately. An empty verb means all commands, unknown ones
// included.
func (s *Server) Count(verb string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if verb == "" {
		return s.total
	}
	return s.counts[verb]
}

// Connections returns the number of open connections.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// begin counts a command, and returns its fault and the delay.
func (s *Server) begin(r *request) (Fault, time.Duration) {
	s.mu.Lock()
	s.total++
	if r.verb != "" {
		s.counts[r.verb]++
	}
	fault, delay, hook := s.fault, s.delay, s.hook
	s.mu.Unlock()
	if hook == nil {
		return fault, delay
	}
	cmd := Command{Verb: r.verb}
	for _, key := range r.keys {
		cmd.Keys = append(cmd.Keys, string(key))
	}
	if own := hook(cmd); own != None {
		fault = own
	}
	return fault, delay
}
