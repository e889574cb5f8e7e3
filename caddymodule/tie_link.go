package caddymodule

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
)

// link is what a tunnel runs over.
type link interface {
	io.ReadWriteCloser
	flush() error
	// sever has all that is under way fail.
	sever()
}

// Hijack implements [http.Hijacker].
func (t *tied) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buf, err := http.NewResponseController(t.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	c := &tiedConn{conn, newTunnel(t, connLink{conn}, t.websocket)}
	// What the client was too fast to send is in the buffer, and is to stay
	// visible there (caddy #6273).
	early, _ := buf.Peek(buf.Reader.Buffered())
	early = slices.Clone(early)
	c.tunnel.hear(early) // nobody else has it yet
	buf.Writer.Reset(c)
	buf.Reader.Reset(io.MultiReader(bytes.NewReader(early), c))
	_, _ = buf.Peek(len(early))
	t.hijacked = true
	t.tie(c.tunnel.end)
	return c, buf, nil
}

// tiedConn is a tunnel as the connection a hijacker gets.
type tiedConn struct {
	net.Conn
	tunnel *tunnel
}

func (c *tiedConn) Read(p []byte) (int, error)  { return c.tunnel.Read(p) }
func (c *tiedConn) Write(p []byte) (int, error) { return c.tunnel.Write(p) }
func (c *tiedConn) Close() error                { return c.tunnel.Close() }

// CloseWrite is for reverse_proxy, which passes a half-close on where it can
// and hangs up where it gets an error.
func (c *tiedConn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	c.tunnel.writing.Lock()
	defer c.tunnel.writing.Unlock()
	if c.tunnel.ending.Load() {
		return nil // there may be a close frame to come
	}
	c.tunnel.hush()
	return half.CloseWrite()
}

// connLink is a connection.
type connLink struct{ net.Conn }

func (connLink) flush() error { return nil }
func (w connLink) sever()     { _ = w.Close() }

// stream is one of HTTP/2 or 3: what the client sends is the request's body.
type stream struct {
	t    *tied
	body io.ReadCloser
}

func (s *stream) Read(p []byte) (int, error)  { return s.body.Read(p) }
func (s *stream) Write(p []byte) (int, error) { return s.t.ResponseWriterWrapper.Write(p) }
func (s *stream) flush() error                { return s.t.flush() }

func (s *stream) sever() {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	if !s.t.over {
		s.t.reset()
	}
}

// Close leaves it to the handler's return to end the stream.
func (s *stream) Close() error {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	if s.t.over {
		return nil
	}
	return s.body.Close()
}

// extendedConnect reports whether r asks for a WebSocket over HTTP/2 (RFC 8441)
// or 3 (RFC 9220), the way reverse_proxy tells.
func extendedConnect(r *http.Request) bool {
	return r.Method == http.MethodConnect && (r.ProtoMajor == 2 && r.Header.Get(":protocol") == "websocket" ||
		r.ProtoMajor == 3 && r.Proto == "websocket")
}
