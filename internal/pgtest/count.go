package pgtest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Counter stands between clients and a server and notes each round trip they
// ask for, so that tests can state what an operation costs. Safe for
// concurrent use.
type Counter struct {
	// DSN is how to connect through it.
	DSN string

	mu    sync.Mutex
	trips []string
	conns []net.Conn
}

// Count returns a counter before the database of dsn, an unencrypted URL with
// a TCP address, until the test ends; of other databases the test is skipped.
func Count(t testing.TB, dsn string) *Counter {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil || u.Hostname() == "" || u.Port() == "" || u.Query().Get("sslmode") != "disable" {
		t.Skip("statements can be counted on an unencrypted TCP connection only")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := u.Host
	u.Host = l.Addr().String()
	c := &Counter{DSN: u.String()}
	t.Cleanup(func() {
		_ = l.Close()
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, conn := range c.conns {
			_ = conn.Close()
		}
	})
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(client, server)
		}
	}()
	return c
}

// Take returns the statement of each round trip since the last call, as text,
// begin and commit included.
func (c *Counter) Take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	trips := c.trips
	c.trips = nil
	return trips
}

func (c *Counter) note(statement string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trips = append(c.trips, strings.TrimSpace(statement))
}

func (c *Counter) serve(client net.Conn, addr string) {
	server, err := net.Dial("tcp", addr)
	if err != nil {
		_ = client.Close()
		return
	}
	c.mu.Lock()
	c.conns = append(c.conns, client, server)
	c.mu.Unlock()
	go func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	}()
	c.forward(server, bufio.NewReader(client))
	_ = server.Close()
}

// forward passes on what a client sends. The first message has no type, the
// others begin with theirs; the server answers a simple query (Q), and what
// was prepared for it when it is told to synchronise (S).
func (c *Counter) forward(server io.Writer, client *bufio.Reader) {
	parsed := ""
	for first := true; ; first = false {
		head := make([]byte, 5)
		if first {
			head = head[:4]
		}
		if _, err := io.ReadFull(client, head); err != nil {
			return
		}
		body := make([]byte, max(4, int(binary.BigEndian.Uint32(head[len(head)-4:])))-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		if !first {
			switch head[0] {
			case 'Q':
				c.note(string(bytes.TrimRight(body, "\x00")))
			case 'P': // name, statement, types
				if parts := bytes.SplitN(body, []byte{0}, 3); len(parts) == 3 {
					parsed = string(parts[1])
				}
			case 'S':
				c.note(parsed)
			}
		}
		if _, err := server.Write(slices.Concat(head, body)); err != nil {
			return
		}
	}
}
