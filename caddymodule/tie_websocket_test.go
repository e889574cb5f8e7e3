package caddymodule

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestTie_WebSocketClosedOnRevocation(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		n, w := newNode(t), theWorld(t)
		ended := make(chan error, 1)
		up := wsUpstream(t, func(p *wsPeer) { echo(p); _, _, err := p.read(); ended <- err })
		n.start("", tiedSite(up))
		token, other := n.mint(w.alice, "#"), n.mint(w.alice, "#")
		ws, bystander := n.upgrade(token, "websocket"), n.upgrade(other, "websocket")
		ws.echoes(t, "hello")
		n.awaitTies(2)
		n.revoke(token)
		ws.isClosed(t, closeRevoked)
		if err := <-ended; err == nil {
			t.Error("the upstream was not let go")
		}
		n.awaitTies(1)
		bystander.echoes(t, "still here")
	})
	t.Run("while its upstream connects", func(t *testing.T) {
		n, w := newNode(t), theWorld(t)
		asked, answer := make(chan struct{}), make(chan struct{})
		up := startHTTP(t, func(rw http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			<-answer
			conn, _, err := http.NewResponseController(rw).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		})
		n.start("", tiedSite(up))
		token := n.mint(w.alice, "#")
		go func() {
			<-asked
			n.revoke(token)
			close(answer)
		}()
		n.upgrade(token, "websocket").isClosed(t, closeRevoked)
	})
	t.Run("its upstream is within a frame", func(t *testing.T) {
		n, w := newNode(t), theWorld(t)
		goOn := make(chan struct{})
		up := wsUpstream(t, func(p *wsPeer) {
			raw := frame(2, noise[:70_000], false)
			_, _ = p.Write(raw[:40_000])
			<-goOn
			_, _ = p.Write(raw[40_000:])
			for p.write(1, noise[:100]) == nil {
			}
		})
		n.start("", tiedSite(up))
		token := n.mint(w.alice, "#")
		ws := n.upgrade(token, "websocket")
		if _, err := ws.r.Peek(4000); err != nil { // the frame has begun
			t.Fatal(err)
		}
		n.revoke(token)
		n.awaitTies(0)
		close(goOn)
		ws.isClosed(t, closeRevoked)
	})
	t.Run("its upstream has closed it already", func(t *testing.T) {
		n, w := newNode(t), theWorld(t)
		up := wsUpstream(t, func(p *wsPeer) {
			_ = p.write(opClose, []byte{3, 232})
			_, _ = io.Copy(io.Discard, p.r)
		})
		n.start("", tiedSite(up))
		token := n.mint(w.alice, "#")
		ws := n.upgrade(token, "websocket")
		n.awaitTies(1)
		if _, err := ws.r.Peek(4); err != nil {
			t.Fatal(err)
		}
		n.revoke(token)
		ws.isClosed(t, 1000) // and no second close frame
	})
	t.Run("another protocol", func(t *testing.T) {
		n, w := newNode(t), theWorld(t)
		// Of a handler that takes the connection over: the guard lets no other
		// upgrade through to one.
		n.probed(func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "telnet")
			w.WriteHeader(http.StatusSwitchingProtocols)
			conn, buf, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return err
			}
			_, _ = io.Copy(conn, buf)
			return conn.Close()
		})
		token := n.mint(w.alice)
		ws := n.upgrade(token, "telnet")
		if _, err := io.WriteString(ws, "hello\n"); err != nil {
			t.Fatal(err)
		}
		if line, err := ws.r.ReadString('\n'); err != nil || line != "hello\n" {
			t.Fatalf("%q, %v", line, err)
		}
		n.revoke(token)
		ws.isGone(t)
	})
}

// TestTie_WebSocketFlood has frames of all sizes go both ways until the token
// is revoked: the client can read every single one, and the last closes.
func TestTie_WebSocketFlood(t *testing.T) {
	for _, site := range []struct{ name, log string }{{"plain", ""}, {"with an access log", "log\n"}} {
		t.Run(site.name, func(t *testing.T) {
			n, w := newNode(t), theWorld(t)
			up := wsUpstream(t, func(p *wsPeer) {
				go func() { _, _ = io.Copy(io.Discard, p.r) }()
				for i := 0; ; i++ {
					size := []int{0, 1, 125, 126, 127, 300, 4096, 1<<16 - 1, 1 << 16}[i%9]
					if i%3 == 0 {
						size = rand.IntN(100_000)
					}
					raw := frame(2, noise[:size], false)
					for len(raw) > 0 { // in pieces that have nothing to do with frames
						piece := min(len(raw), 1+rand.IntN(20_000))
						if _, err := p.Write(raw[:piece]); err != nil {
							return
						}
						raw = raw[piece:]
					}
				}
			})
			n.start("", strings.Replace(tiedSite(up), "{\n", "{\n"+site.log, 1))
			rounds := 5
			if testing.Short() {
				rounds = 2
			}
			for range rounds {
				token := n.mint(w.alice, "#")
				ws := n.upgrade(token, "websocket")
				var speaks sync.WaitGroup
				var quiet atomic.Bool
				speaks.Go(func() {
					for !quiet.Load() {
						if ws.write(2, noise[:rand.IntN(2000)]) != nil {
							return
						}
					}
				})
				for range rand.IntN(40) {
					if _, payload, err := ws.read(); err != nil || !bytes.Equal(payload, noise[:len(payload)]) {
						t.Fatalf("%d bytes, %v", len(payload), err)
					}
				}
				go n.revoke(token)
				for {
					op, payload, err := ws.read()
					if err != nil {
						t.Fatalf("no close frame: %v", err)
					}
					if op == opClose {
						if !bytes.Equal(payload, closeFrame(closeRevoked, "token revoked or expired")[2:]) {
							t.Fatalf("closed with %q", payload)
						}
						break
					}
					if !bytes.Equal(payload, noise[:len(payload)]) {
						t.Fatalf("a frame of %d bytes was changed on its way", len(payload))
					}
				}
				quiet.Store(true)
				speaks.Wait()
				_ = ws.write(opClose, []byte{3, 232})
				ws.isGone(t)
			}
			n.awaitTies(0)
		})
	}
}

func TestTie_WebSocketExpires(t *testing.T) {
	now := setClock(t)
	n, w := newNode(t), theWorld(t)
	n.start("", tiedSite(wsUpstream(t, echo)))
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	token := mint(t, n.db, w.alice, expires, "#")
	now.unixNano.Store(expires.UnixNano()) // its last good moment
	ws := n.upgrade(token, "websocket")
	ws.echoes(t, "hello")
	now.advance(1)
	ws.isClosed(t, closeRevoked)
	n.awaitTies(0)
}

func TestTie_WebSocketKeptOnReload(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	site := tiedSite(wsUpstream(t, echo))
	n.start("", site)
	token := n.mint(w.alice, "#")
	ws := n.upgrade(token, "websocket")
	for i := range 3 {
		ws.echoes(t, fmt.Sprint("before ", i))
		n.start(fmt.Sprintf("token_lifetime %dm", 5+i), site)
		ws.echoes(t, fmt.Sprint("after ", i))
	}
	if n.ties() != 1 {
		t.Errorf("%d ties", n.ties())
	}
	// And is still tied, though the configuration it came in by is gone.
	n.revoke(token)
	ws.isClosed(t, closeRevoked)
}

// TestTie_WebSocketOfReplacedService: settings that need another service end
// what is tied to the one before, but not as if the token were no good.
func TestTie_WebSocketOfReplacedService(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	site := tiedSite(wsUpstream(t, echo))
	n.start("", site)
	token := n.mint(w.alice, "#")
	ws := n.upgrade(token, "websocket")
	ws.echoes(t, "before")
	n.start("store probe <db> 2", site)
	ws.isClosed(t, closeAway)
	n.upgrade(token, "websocket").echoes(t, "again")
}

func TestTie_WebSocketKeptOnRefresh(t *testing.T) {
	n := newNode(t)
	n.start("", tiedSite(wsUpstream(t, echo)))
	login := func(body, user string) string {
		t.Helper()
		r := n.do("POST", n.url("/0.1/token"), body, "Authorization", basic(user, alicePassword))
		if r.status != http.StatusOK {
			t.Fatalf("login: %d %s", r.status, r.body)
		}
		return r.body
	}
	first := login(`{"access_type": "offline", "client_id": "phone"}`, "alice")
	ws := n.upgrade(tokenOf(t, first), "websocket")
	ws.echoes(t, "before")
	_, refresh, _ := strings.Cut(strings.ReplaceAll(first, `": "`, `":"`), `"refresh_token":"`)
	refresh, _, ok := strings.Cut(refresh, `"`)
	if !ok {
		t.Fatalf("no refresh token in %s", first)
	}
	second := login(`{"refresh_token": "`+refresh+`", "client_id": "phone"}`, "alice")
	if tokenOf(t, second) == tokenOf(t, first) {
		t.Fatal("the same token again")
	}
	ws.echoes(t, "after")
	n.revoke(tokenOf(t, second))
	ws.echoes(t, "the other one was revoked")
	n.revoke(tokenOf(t, first))
	ws.isClosed(t, closeRevoked)
}

// TestTie_WebSocketOverHTTP2 has reverse_proxy turn an extended CONNECT into an
// upgrade. The server is called without a network in between: it offers
// extended CONNECT in HTTP/2 only where GODEBUG has http2xconnect=1.
func TestTie_WebSocketOverHTTP2(t *testing.T) {
	n, w := newNode(t), theWorld(t)
	n.start("", tiedSite(wsUpstream(t, echo)))
	app, err := caddy.ActiveContext().App("http")
	if err != nil {
		t.Fatal(err)
	}
	token := n.mint(w.alice, "#")
	rw, ws := newStreamWriter(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodConnect, n.url("/ws"), rw.conn)
	if err != nil {
		t.Fatal(err)
	}
	r.ProtoMajor, r.ProtoMinor, r.ContentLength, r.RemoteAddr, r.RequestURI = 2, 0, -1, "127.0.0.1:1", "/ws"
	r.Header = http.Header{":protocol": {"websocket"}, "X-Auth-Token": {token}}
	var served sync.WaitGroup
	served.Go(func() {
		defer rw.handlerReturned()
		app.(*caddyhttp.App).Servers["srv0"].ServeHTTP(rw, r)
	})
	<-rw.accepted
	ws.echoes(t, "hello")
	n.awaitTies(1)
	n.revoke(token)
	ws.isClosed(t, closeRevoked)
	served.Wait()
	n.awaitTies(0)
	if rw.reset.Load() || rw.misused.Load() {
		t.Errorf("the stream was reset: %v; used after the handler had returned: %v", rw.reset.Load(), rw.misused.Load())
	}
}
