package web

import (
	"cmp"

	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

// Health says in one word how a credential is doing.
type Health string

const (
	// Ill is that there is none to give, and renewing it failed.
	Ill Health = "ill"
	// Failing is that the last renewal failed, and there is still one to give.
	Failing Health = "failing"
	// Starting is that there is none to give yet, and no renewal has failed.
	Starting Health = "starting"
	// OK is that there is one to give.
	OK Health = "ok"
)

// byUrgency is every Health, the one to look at first before the others.
var byUrgency = [...]Health{Ill, Failing, Starting, OK}

// Compare orders by urgency: it is below 0 where h must be looked at before b.
func (h Health) Compare(b Health) int { return cmp.Compare(h.rank(), b.rank()) }

// rank is the place in byUrgency. What a newer version may call it is urgent.
func (h Health) rank() int {
	for i, one := range byUrgency {
		if h == one {
			return i
		}
	}
	return 0
}

func healthOf(s *keeper.State) Health {
	switch {
	case s.Valid && s.Err == nil:
		return OK
	case s.Valid:
		return Failing
	case s.Err == nil:
		return Starting
	}
	return Ill
}
