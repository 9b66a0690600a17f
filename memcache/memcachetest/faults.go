package memcachetest

import "time"

// Fault is a way in which memcached, or the road to it, fails. Commands that
// cannot be told apart by their answer differ in whether they were carried out:
// that is what a caller with a lost answer has to find out.
type Fault int

const (
	// None is no fault.
	None Fault = iota
	// Refuse refuses new connections and cuts those that exist. Returned by a
	// hook it concerns one command and is DropBefore.
	Refuse
	// Hang accepts and reads, never answers and carries nothing out. The
	// connection is lost for good: it stays silent until its client closes it.
	Hang
	// HangAfter carries the command out and never answers. The connection is
	// lost for good, as with Hang.
	HangAfter
	// DropBefore cuts the connection; the command is not carried out.
	DropBefore
	// DropAfter carries the command out and cuts the connection without an answer.
	DropAfter
	// DropMid carries the command out, sends the first half of the answer and
	// cuts the connection.
	DropMid
	// ServerError answers "SERVER_ERROR out of memory storing object" and
	// carries nothing out.
	ServerError
	// Slow carries the command out at once and answers after the delay, see SetDelay.
	Slow
)

// Command is what a hook is asked about.
type Command struct {
	// Verb is the command's name; empty means that there is no such command.
	Verb string
	// Keys are those that it names, in order; none for version, flush_all and the like.
	Keys []string
}

// SetFault is the fault of every command from now on; None heals. A command
// that hangs stays hung until its client gives up and closes the connection.
func (s *Server) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
	if f == Refuse {
		s.cutAll()
	}
}

// SetDelay sets by how much Slow delays an answer; zero means not at all.
func (s *Server) SetDelay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// OnCommand has hook asked before each command is carried out; nil asks nobody.
// What it returns, if not None, goes before SetFault's. The hook is called from
// the goroutine of the connection, with no lock held: it may wait, and it may
// call the Server's other methods except Close, so as to let something happen
// just before a certain command.
func (s *Server) OnCommand(hook func(Command) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// Count says how many commands with this verb came in, carried out or not;
// "get" and "gets" count apart. The empty verb means all commands, unknown ones
// included.
func (s *Server) Count(verb string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if verb == "" {
		return s.total
	}
	return s.counts[verb]
}

// Connections says how many connections are open.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// begin counts a command and says how it is to fail, and after which delay.
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
