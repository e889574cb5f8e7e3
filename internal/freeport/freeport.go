// Package freeport finds ports for the servers that tests and benchmarks start,
// where these cannot be told to choose one and say which.
package freeport

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

const (
	// first and last are below the ports that systems give to outgoing
	// connections (from 32768 on, on Linux): one of those could be taken by
	// a client before its server gets to listen.
	first, last = 15_000, 32_000
	attempts    = 1000
)

var (
	mu    sync.Mutex
	given = map[int]bool{}
)

var errNone = errors.New("no port is free")

// Pick returns a TCP port at which nobody listens on 127.0.0.1, and never the
// same one twice in a process. Safe for concurrent use.
func Pick() (int, error) {
	mu.Lock()
	defer mu.Unlock()
	for range attempts {
		port := first + rand.IntN(last-first)
		if given[port] {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			continue
		}
		given[port] = true
		return port, nil
	}
	return 0, errNone
}
