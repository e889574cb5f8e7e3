package caddymodule

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

// streamWriter is the writer of a stream over a pipe.
type streamWriter struct {
	conn                     net.Conn
	header                   http.Header
	accepted                 chan struct{}
	returned, reset, misused atomic.Bool
}

func newStreamWriter(t *testing.T) (*streamWriter, *wsPeer) {
	client, server := net.Pipe()
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	_ = client.SetDeadline(time.Now().Add(patience))
	return &streamWriter{conn: server, header: http.Header{}, accepted: make(chan struct{})},
		&wsPeer{Conn: client, r: bufio.NewReader(client), mask: true}
}

func (s *streamWriter) handlerReturned() {
	s.returned.Store(true)
	_ = s.conn.Close()
}

func (s *streamWriter) use() {
	if s.returned.Load() {
		s.misused.Store(true)
	}
}

func (s *streamWriter) Header() http.Header { return s.header }

func (s *streamWriter) WriteHeader(status int) {
	if status == http.StatusOK {
		close(s.accepted)
	}
}

func (s *streamWriter) Write(p []byte) (int, error) { s.use(); return s.conn.Write(p) }

func (s *streamWriter) FlushError() error { s.use(); return nil }

func (s *streamWriter) SetWriteDeadline(d time.Time) error {
	s.use()
	if d.Equal(past) {
		s.reset.Store(true)
		_ = s.conn.Close()
	}
	return nil
}

func (s *streamWriter) SetReadDeadline(time.Time) error { s.use(); return nil }

// TestTunnel has what only a scripted wire shows.
func TestTunnel(t *testing.T) {
	t.Parallel()
	sh := &shared{}
	sh.ended, sh.end = t.Context(), func() {}
	open := func(t *testing.T) (c *tiedConn, client *wsPeer) {
		near, far := net.Pipe()
		t.Cleanup(func() { _, _ = near.Close(), far.Close() })
		_ = far.SetDeadline(time.Now().Add(patience))
		tt := &tied{shared: sh, grant: new(grant.Grant), cancel: func() {}}
		c = &tiedConn{near, newTunnel(tt, connLink{near}, true)}
		return c, &wsPeer{Conn: far, r: bufio.NewReader(far), mask: true}
	}
	write := func(c *tiedConn, p []byte) { _, _ = c.Write(p) }
	t.Run("what follows a frame in one write is swallowed", func(t *testing.T) {
		t.Parallel()
		c, client := open(t)
		raw := append(frame(1, noise[:10], false), frame(1, noise[:20], false)...)
		go func() {
			write(c, raw[:5])
			go c.tunnel.end()
			eventually(t, "it is being ended", c.tunnel.ending.Load)
			write(c, raw[5:])
			write(c, raw)
		}()
		if op, payload, err := client.read(); err != nil || op != 1 || len(payload) != 10 {
			t.Errorf("opcode %d, %d bytes, %v", op, len(payload), err)
		}
		if op, _, err := client.read(); err != nil || op != opClose {
			t.Errorf("opcode %d, %v", op, err)
		}
		_ = client.write(opClose, nil)
		client.isGone(t)
	})
	t.Run("a client who does not read", func(t *testing.T) {
		t.Parallel()
		c, client := open(t)
		c.tunnel.grace = time.Millisecond
		var writes sync.WaitGroup
		writes.Go(func() { write(c, frame(1, noise[:10], false)) }) // stuck
		if _, err := client.r.ReadByte(); err != nil {
			t.Fatal(err)
		}
		writes.Go(c.tunnel.end)
		writes.Wait() // the connection is cut
	})
	t.Run("a client who does not answer", func(t *testing.T) {
		t.Parallel()
		c, client := open(t)
		c.tunnel.grace = time.Millisecond
		go c.tunnel.end()
		go func() {
			for client.write(1, noise[:10]) == nil { // and goes on talking
			}
		}()
		_, _ = io.ReadAll(client.r)
		if got, err := io.ReadAll(c); len(got) != 0 || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
	t.Run("over HTTP/2, a client who does not answer", func(t *testing.T) {
		t.Parallel()
		rw, client := newStreamWriter(t)
		tt := &tied{shared: sh, cancel: func() {}}
		tt.ResponseWriter, tt.tunnels = rw, true
		tt.tunnel = newTunnel(tt, &stream{tt, rw.conn}, true)
		tt.tunnel.grace = time.Millisecond
		go tt.tunnel.end()
		_, _ = io.ReadAll(client.r)
		tt.finish()
		rw.handlerReturned()
		tt.tunnel.sever() // late
		if !rw.reset.Load() || rw.misused.Load() {
			t.Errorf("the stream was reset: %v; used after the handler had returned: %v", rw.reset.Load(), rw.misused.Load())
		}
	})
	t.Run("a frame that never ends", func(t *testing.T) {
		t.Parallel()
		c, client := open(t)
		c.tunnel.grace = time.Millisecond
		go func() {
			write(c, frame(1, noise[:100], false)[:50])
			c.tunnel.end()
			write(c, noise[:50])
		}()
		if _, _, err := client.read(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v, want the end of the connection within the frame", err)
		}
	})
	t.Run("what a client says meanwhile goes nowhere", func(t *testing.T) {
		t.Parallel()
		c, client := open(t)
		go c.tunnel.end()
		if op, _, err := client.read(); err != nil || op != opClose {
			t.Fatalf("opcode %d, %v", op, err)
		}
		go func() {
			_ = client.write(1, []byte("too late"))
			_ = client.write(opClose, nil)
		}()
		if got, err := io.ReadAll(c); len(got) != 0 || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		client.isGone(t)
	})
	t.Run("a client who closes it himself at the moment", func(t *testing.T) {
		t.Parallel()
		c, client := open(t)
		go func() { _ = client.write(opClose, nil) }()
		var p [100]byte
		if n, err := c.Read(p[:]); n == 0 || err != nil {
			t.Fatalf("%d bytes, %v", n, err)
		}
		var reads sync.WaitGroup
		reads.Go(func() { _, _ = c.Read(p[:]) })
		runtime.Gosched() // it waits for more, or is going to
		go c.tunnel.end()
		if op, _, err := client.read(); err != nil || op != opClose {
			t.Errorf("opcode %d, %v", op, err)
		}
		client.isGone(t) // although he does not answer
		reads.Wait()
	})
	t.Run("closed by its handler meanwhile", func(t *testing.T) {
		t.Parallel()
		c, client := open(t)
		go c.tunnel.end()
		eventually(t, "it is being ended", c.tunnel.ending.Load)
		_ = c.Close()
		client.isClosed(t, closeRevoked)
	})
	t.Run("half-closed", func(t *testing.T) {
		t.Parallel()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ln.Close() }()
		far, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = far.Close() }()
		near, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c := &tiedConn{near, newTunnel(&tied{shared: sh, cancel: func() {}}, connLink{near}, true)}
		if err := c.CloseWrite(); err != nil {
			t.Error(err)
		}
		_ = far.SetDeadline(time.Now().Add(patience))
		if rest, err := io.ReadAll(far); len(rest) != 0 || err != nil {
			t.Errorf("%q, %v", rest, err)
		}
		go func() { _, _ = far.Write(frame(1, []byte("bye"), true)); _ = far.(*net.TCPConn).CloseWrite() }()
		if got, err := io.ReadAll(c); len(got) == 0 || err != nil {
			t.Errorf("the other half: %q, %v", got, err)
		}
		c.tunnel.end() // has nothing to say any more
	})
	t.Run("no halves", func(t *testing.T) {
		t.Parallel()
		c, _ := open(t)
		if err := c.CloseWrite(); !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
	})
}
