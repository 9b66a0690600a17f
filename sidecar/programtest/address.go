package programtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// Ports are below those that systems use for outgoing connections and for
// listeners on port 0 (32,768 and up on Linux). Otherwise another program can take
// the port before the program that it is meant for, or while that one restarts.
// realmemcached uses the ports from 20,000.
const (
	firstPort = 10_000
	portCount = 10_000
)

// given has the addresses that FreeAddress returned.
var given sync.Map

// FreeAddress returns a TCP address on 127.0.0.1 that no program listens on. It
// returns each address once. It returns an error if a hundred random ports are in
// use.
func FreeAddress() (string, error) {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(portCount)) //nolint:gosec // not a secret
		listener, err := net.Listen("tcp", address)                            //nolint:noctx // returns at once
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			return "", err
		}
		if _, again := given.LoadOrStore(address, true); !again {
			return address, nil
		}
	}
	return "", errors.New("find a free port: 100 random ones are in use")
}
