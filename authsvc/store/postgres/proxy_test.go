package postgres_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a store and its server and misbehaves on demand.
type proxy struct {
	DSN string

	target string
	mu     sync.Mutex
	gate   chan struct{} // answers wait while it is not nil; closed by resume
	cut    bool          // the next answer is dropped with its connection
	deaf   string        // whoever sends this gets no answer any more; "" is nothing
	conns  []net.Conn
	epoch  int // connections of an earlier one are forgotten
}

func newProxy(t *testing.T, dsn string) *proxy {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{target: u.Host}
	u.Host = l.Addr().String()
	p.DSN = u.String()
	t.Cleanup(func() {
		_ = l.Close()
		p.resume()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range p.conns {
			_ = c.Close()
		}
	})
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	return p
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	p.mu.Lock()
	p.conns = append(p.conns, client, server)
	epoch := p.epoch
	p.mu.Unlock()
	var mute atomic.Bool
	go func() {
		_, _ = io.Copy(server, io.TeeReader(client, ears(func(sent []byte) {
			if p.ignores(sent) {
				mute.Store(true)
			}
		})))
		_ = server.Close()
	}()
	defer func() { _, _ = client.Close(), server.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if n > 0 && (mute.Load() || p.forgotten(epoch)) {
			continue
		}
		if n > 0 && !p.pass() {
			return
		}
		if _, werr := client.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// forget has every answer swallowed on the connections there are.
func (p *proxy) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.epoch++
}

func (p *proxy) forgotten(epoch int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return epoch != p.epoch
}

// ears is a writer that is told what is written.
type ears func([]byte)

func (e ears) Write(sent []byte) (int, error) {
	e(sent)
	return len(sent), nil
}

// ignore has all answers swallowed on a connection from when this is sent.
func (p *proxy) ignore(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf = text
}

func (p *proxy) ignores(sent []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.deaf != "" && bytes.Contains(sent, []byte(p.deaf))
}

// pass waits while answers are held back and tells whether to forward one.
func (p *proxy) pass() bool {
	p.mu.Lock()
	gate, cut := p.gate, p.cut
	p.cut = false
	p.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return !cut
}

// stall holds back all answers, as a server that hangs does.
func (p *proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gate = make(chan struct{})
}

func (p *proxy) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gate != nil {
		close(p.gate)
		p.gate = nil
	}
}

// cutNext drops the next answer, when its statement has been executed.
func (p *proxy) cutNext() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
}
