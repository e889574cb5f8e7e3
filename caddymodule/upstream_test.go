package caddymodule

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// upstream is a server that keeps what it is sent, byte for byte, and answers
// 200.
type upstream struct {
	addr string
	got  chan string
}

func newUpstream(t testing.TB) *upstream {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &upstream{addr: ln.Addr().String(), got: make(chan string, 1000)}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { u.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		conns.Wait()
	})
	return u
}

func (u *upstream) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(conn)
	var got bytes.Buffer
	readBlock := func() (chunked bool, length int) { // up to an empty line
		for {
			line, err := r.ReadString('\n')
			got.WriteString(line)
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch strings.ToLower(name) {
			case "transfer-encoding":
				chunked = true
			case "content-length":
				length, _ = strconv.Atoi(value)
			case "":
				return chunked, length
			}
			if err != nil {
				return chunked, length
			}
		}
	}
	chunked, length := readBlock()
	if chunked {
		for {
			line, err := r.ReadString('\n')
			got.WriteString(line)
			if err != nil || strings.TrimSpace(line) == "0" {
				break
			}
		}
		readBlock() // trailers
	} else {
		_, _ = io.CopyN(&got, r, int64(length))
	}
	u.got <- got.String()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nupstream")
}

// take returns the only request there was.
func (u *upstream) take(t testing.TB) string {
	t.Helper()
	select {
	case got := <-u.got:
		return got
	case <-time.After(patience):
		t.Fatal("nothing reached the upstream")
		return ""
	}
}

// untouched fails if anything reached the upstream. Requests that could have
// must have been answered by now.
func (u *upstream) untouched(t testing.TB) {
	t.Helper()
	select {
	case got := <-u.got:
		t.Errorf("this reached the upstream:\n%s", got)
	default:
	}
}
