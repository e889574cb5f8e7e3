package caddymodule

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Clients get the time they need on a busy machine.
func init() { tunnelGrace = patience }

// wsPeer is one end of a WebSocket, after the handshake.
type wsPeer struct {
	net.Conn
	r    *bufio.Reader
	mask bool // a client
}

// read returns the next frame. An error within one is io.ErrUnexpectedEOF.
func (p *wsPeer) read() (op byte, payload []byte, err error) {
	var h [8]byte
	if _, err := io.ReadFull(p.r, h[:2]); err != nil {
		return 0, nil, err
	}
	op, size := h[0], uint64(h[1]&0x7f)
	if op&0x70 != 0 || op&0x0f > 10 || h[1]&0x80 != 0 == p.mask {
		return 0, nil, fmt.Errorf("no frame begins with % x", h[:2])
	}
	switch size {
	case 126:
		_, err = io.ReadFull(p.r, h[:2])
		size = uint64(binary.BigEndian.Uint16(h[:]))
	case 127:
		_, err = io.ReadFull(p.r, h[:8])
		size = binary.BigEndian.Uint64(h[:])
	}
	var key [4]byte
	if err == nil && !p.mask {
		_, err = io.ReadFull(p.r, key[:])
	}
	if size > 1<<20 {
		return 0, nil, fmt.Errorf("a frame of %d bytes, which nobody sent", size)
	}
	payload = make([]byte, size)
	if err == nil {
		_, err = io.ReadFull(p.r, payload)
	}
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return op & 0x0f, payload, err
}

func (p *wsPeer) write(op byte, payload []byte) error {
	_, err := p.Write(frame(op, payload, p.mask))
	return err
}

// echoes checks that the other end does.
func (p *wsPeer) echoes(t *testing.T, text string) {
	t.Helper()
	if err := p.write(1, []byte(text)); err != nil {
		t.Fatal(err)
	}
	if op, payload, err := p.read(); err != nil || op != 1 || string(payload) != text {
		t.Fatalf("sent %q, got opcode %d, %q, %v", text, op, payload, err)
	}
}

// isClosed reads up to a close frame with the code, through frames whose
// payload is as it was sent, answers it, and checks that nothing else comes.
func (p *wsPeer) isClosed(t *testing.T, code uint16) {
	t.Helper()
	for {
		op, payload, err := p.read()
		if err != nil {
			t.Fatalf("the connection ended without a close frame: %v", err)
		}
		if op != opClose {
			if !bytes.Equal(payload, noise[:len(payload)]) {
				t.Fatalf("a frame of %d bytes was changed on its way", len(payload))
			}
			continue
		}
		if len(payload) < 2 || binary.BigEndian.Uint16(payload) != code {
			t.Fatalf("closed with %q, want %d", payload, code)
		}
		break
	}
	_ = p.write(opClose, binary.BigEndian.AppendUint16(nil, code))
	p.isGone(t)
}

// isGone checks that nothing else comes.
func (p *wsPeer) isGone(t *testing.T) {
	t.Helper()
	rest, err := io.ReadAll(p.r)
	if len(rest) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("after the end: %d bytes, %v", len(rest), err)
	}
}

// noise is what frames are made of in tests.
var noise = func() []byte {
	b := make([]byte, 1<<17)
	for i := range b {
		b[i] = byte(i*i>>8 ^ i)
	}
	return b
}()

// wsUpstream accepts WebSockets, and anything else by another name.
func wsUpstream(t *testing.T, serve func(p *wsPeer)) (addr string) {
	var mu sync.Mutex
	var open []net.Conn
	var all sync.WaitGroup
	addr = startHTTP(t, func(rw http.ResponseWriter, r *http.Request) {
		all.Add(1)
		defer all.Done()
		conn, buf, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		open = append(open, conn)
		mu.Unlock()
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		serve(&wsPeer{Conn: conn, r: buf.Reader})
		_ = conn.Close()
	})
	t.Cleanup(func() {
		mu.Lock()
		for _, conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return addr
}

// echo is an upstream that returns what it gets.
func echo(p *wsPeer) {
	for {
		op, payload, err := p.read()
		if err != nil || p.write(op, payload) != nil {
			return
		}
	}
}

// tiedSite has the API, and a guard before addr.
func tiedSite(addr string) string {
	return `http://:<port> {
	handle /0.1/* {
		xivo_auth_api
	}
	handle {
		xivo_auth_guard
		reverse_proxy ` + addr + ` {
			stream_close_delay 1h
			flush_interval -1
		}
	}
}`
}

// upgrade connects to the guard.
func (n *node) upgrade(token, protocol string) *wsPeer {
	n.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(n.url(""), "http://"))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: pbx\r\nConnection: Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nX-Auth-Token: %s\r\n\r\n", protocol, token)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodGet})
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		n.t.Fatalf("upgrading: %v, %v", resp, err)
	}
	return &wsPeer{Conn: conn, r: r, mask: true}
}

func (n *node) revoke(token string) {
	n.t.Helper()
	if r, err := n.try("DELETE", n.url("/0.1/token/"+token), ""); err != nil || r.status != http.StatusOK {
		n.t.Errorf("revoking: %d %s %v", r.status, r.body, err)
	}
}

// ties counts what is tied.
func (n *node) ties() int { return n.service().CacheStats().Watches }

func (n *node) awaitTies(want int) {
	n.t.Helper()
	eventually(n.t, fmt.Sprintf("%d ties", want), func() bool { return n.ties() == want })
}
