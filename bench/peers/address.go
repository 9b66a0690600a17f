package main

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"sync/atomic"
)

// Ports below those that the system gives away by itself: no outgoing connection
// and no listener on a free port takes them, also not while their own listener is
// down and to come back.
const (
	claimPort     = "17200"
	opsPort       = "17201"
	memcachedPort = "17211"
)

// loopback is 127.x.0.0/16, in which every fleet has a network of its own.
type loopback struct {
	claim  net.Listener
	x      string
	fleets atomic.Int64
}

// claimLoopback takes an x that no other run has: who holds the port of its first
// address has it.
func claimLoopback(ctx context.Context) (*loopback, error) {
	const many = 250
	for i := range many {
		x := strconv.Itoa(1 + (os.Getpid()+i)%many)
		claim, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127."+x+".0.1", claimPort))
		if err == nil {
			return &loopback{claim: claim, x: x}, nil
		}
	}
	return nil, errors.New("no network within 127.0.0.0/8 is free: this needs Linux, and port " + claimPort)
}

func (l *loopback) release() { _ = l.claim.Close() }

// network is what the addresses of the next fleet begin with.
func (l *loopback) network() string {
	return "127." + l.x + "." + strconv.FormatInt(1+l.fleets.Add(1)%250, 10) + "."
}
