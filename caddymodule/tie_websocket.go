package caddymodule

import (
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// closeRevoked is the close code of the stack's own WebSockets for a
	// token that is no good any more, closeAway that of a server that goes
	// away, which is what a client is to make of a service that is closed.
	closeRevoked = 4003
	closeAway    = 1001
)

// tunnelGrace is how long a frame that has begun may take to be complete, and
// then the client to answer the close frame. Tests make it longer.
var tunnelGrace = time.Second

func isWebSocket(protocol string) bool { return strings.EqualFold(protocol, "websocket") }

// tunnel is a connection to a client that does not speak HTTP any more, and is
// tied. A WebSocket is ended as RFC 6455 has it: a close frame where a frame
// of the upstream's ends, then the client's, then the connection. What else
// the two have to say is swallowed. Any other protocol is just cut off.
//
// All methods are safe for concurrent use.
type tunnel struct {
	t         *tied
	wire      link
	websocket bool
	grace     time.Duration
	ending    atomic.Bool

	writing sync.Mutex
	out     frames
	silent  chan struct{} // closed when nothing is to be written any more

	reading sync.Mutex
	in      frames
	heard   atomic.Bool // the client has nothing more to say
}

func newTunnel(t *tied, l link, websocket bool) *tunnel {
	return &tunnel{t: t, wire: l, websocket: websocket, grace: tunnelGrace, silent: make(chan struct{})}
}

// end ends the tunnel, and takes its time.
func (c *tunnel) end() {
	defer c.hangUp()
	if !c.websocket {
		return
	}
	// Before the lock, which a write may hold that waits for the client.
	hard := time.AfterFunc(c.grace, c.sever)
	defer hard.Stop()
	c.writing.Lock()
	c.ending.Store(true)
	if c.out.between() {
		c.farewell()
	}
	c.writing.Unlock()
	<-c.silent // the upstream completes its frame, or is late
	hard.Reset(c.grace)
	c.t.cancel()
	c.drain()
}

// sever ends it the hard way.
func (c *tunnel) sever() {
	c.wire.sever()
	c.writing.Lock()
	defer c.writing.Unlock()
	c.hush()
}

// hangUp closes the connection.
func (c *tunnel) hangUp() {
	c.t.cancel()
	_ = c.wire.Close()
	c.t.loose()
}

// Close implements [io.Closer]. One that is being ended is not closed before
// the client had his say.
func (c *tunnel) Close() error {
	if c.ending.Load() {
		return nil
	}
	defer c.t.loose()
	return c.wire.Close()
}

// detach lets go of the wire. When it returns, nobody uses it.
func (c *tunnel) detach() {
	c.reading.Lock()
	c.heard.Store(true)
	c.reading.Unlock()
	c.writing.Lock()
	c.hush()
	c.writing.Unlock()
}

// farewell writes the close frame, unless the upstream has written one. The
// caller holds writing, and no frame has begun.
func (c *tunnel) farewell() {
	if c.quiet() {
		return
	}
	if !c.out.closed {
		code, reason := uint16(closeRevoked), "token revoked or expired"
		if c.t.shared.ended.Err() != nil {
			code, reason = closeAway, ""
		}
		if _, err := c.wire.Write(closeFrame(code, reason)); err == nil {
			_ = c.wire.flush()
		}
	}
	c.hush()
}

// hush has all later writes swallowed. The caller holds writing.
func (c *tunnel) hush() {
	if !c.quiet() {
		close(c.silent)
	}
}

func (c *tunnel) quiet() bool {
	select {
	case <-c.silent:
		return true
	default:
		return false
	}
}

// Write implements [io.Writer].
func (c *tunnel) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.quiet() {
		return len(p), nil
	}
	if !c.ending.Load() {
		n, err := c.wire.Write(p)
		c.out.pass(p[:n])
		return n, err
	}
	n, err := c.wire.Write(p[:c.out.next(p)])
	if err != nil {
		c.hush()
		return n, err
	}
	if c.out.between() {
		c.farewell()
	}
	return len(p), nil
}

func (c *tunnel) flush() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.quiet() {
		return nil
	}
	return c.wire.flush()
}

// Read implements [io.Reader].
func (c *tunnel) Read(p []byte) (n int, err error) {
	c.reading.Lock()
	if !c.ending.Load() {
		n, err = c.wire.Read(p)
		c.hear(p[:n])
	}
	c.reading.Unlock()
	if c.ending.Load() {
		c.drain()
		return 0, io.EOF
	}
	return n, err
}

// hear follows what the client says. The caller holds reading.
func (c *tunnel) hear(p []byte) {
	if c.in.pass(p); c.in.closed {
		c.heard.Store(true)
	}
}

// drain swallows what the client says up to his close frame.
func (c *tunnel) drain() {
	if c.heard.Load() {
		return // the lock may be with someone who waits for more
	}
	c.reading.Lock()
	defer c.reading.Unlock()
	var p [512]byte
	for !c.heard.Load() {
		n, err := c.wire.Read(p[:])
		if c.hear(p[:n]); err != nil {
			c.heard.Store(true)
		}
	}
}
