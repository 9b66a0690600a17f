package status

import (
	"cmp"
	"slices"

	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

// Health says in one word whether a credential can be given and renewed.
type Health string

const (
	// Unavailable means that there is no valid credential, and renewing it failed.
	Unavailable Health = "unavailable"
	// Failing means that the last renewal failed, and the credential is still valid.
	Failing Health = "failing"
	// Starting means that there is no credential yet, and no renewal has failed.
	Starting Health = "starting"
	// OK means that the credential is valid.
	OK Health = "ok"
)

// byUrgency is every Health, the most urgent one first.
var byUrgency = [...]Health{Unavailable, Failing, Starting, OK}

// Compare returns a number below 0 if h is more urgent than b.
func (h Health) Compare(b Health) int { return cmp.Compare(h.rank(), b.rank()) }

// rank returns the place in byUrgency. A word of a newer version is the most urgent.
func (h Health) rank() int { return max(0, slices.Index(byUrgency[:], h)) }

func healthOf(s *keeper.State) Health {
	switch {
	case s.Valid && s.Err == nil:
		return OK
	case s.Valid:
		return Failing
	case s.Err == nil:
		return Starting
	}
	return Unavailable
}
