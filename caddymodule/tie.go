package caddymodule

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

// unsizedAfter is how long a response that does not tell its length may take,
// from its header on, before it counts as one that streams.
const unsizedAfter = time.Second

// errEnded is what a handler gets that goes on writing.
var errEnded = errors.New("the token of this response was revoked or has expired")

// serveTied has next answer r, and ends what lives longer than a request when
// its token is revoked or expires, or the service is closed:
//
//   - a connection that is taken over, such as a WebSocket, see [tunnel];
//   - a response of server-sent events, JSON lines or replaced parts;
//   - any other without Content-Length that takes longer than a second.
//
// Of a response, the context of the request is cancelled, so that its upstream
// is let go, and the client sees it broken off and not complete. What has a
// Content-Length is never ended: a download that was allowed to begin may be
// completed, and a client may revoke the very token he asks with.
//
// gauge, unless nil, is told of each that becomes tied (+1) and is over (-1).
// Without a grant nothing is tied.
//
// A short request pays for the writer, and for a context where its connection
// has none that can be cancelled, see [tieable]. Nothing here keeps the service
// from being closed.
func (sh *shared) serveTied(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, g *grant.Grant, gauge func(delta int)) error {
	if g == nil {
		return next.ServeHTTP(w, r)
	}
	t := &tied{shared: sh, grant: g, gauge: gauge, bodyless: r.Method == http.MethodHead}
	t.ResponseWriter = w
	if t.cancel = cancelOf(r); t.cancel == nil {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		t.cancel, r = cancel, r.WithContext(ctx)
	}
	if extendedConnect(r) {
		t.tunnel = newTunnel(t, &stream{t, r.Body}, true)
		r.Body = t.tunnel
	}
	defer t.finish()
	return next.ServeHTTP(t, r)
}

// tied is the writer of one request. Its methods are for the goroutine that
// serves it, as those of any writer; only what mu guards is touched by others.
type tied struct {
	caddyhttp.ResponseWriterWrapper
	shared *shared
	grant  *grant.Grant
	gauge  func(delta int)
	// cancel has the request given up. On a connection that goes on it must
	// not be called when the request is over: the next one would be given up.
	cancel context.CancelFunc

	bodyless  bool // whatever is written, the client gets no body
	begun     bool // the header of the response proper is out
	streams   bool // what is written may have to be broken off
	websocket bool // it was answered that it becomes one
	hijacked  bool
	tunnel    *tunnel // of a WebSocket over HTTP/2 or 3
	tunnels   bool    // and it was accepted
	late      *time.Timer
	ended     atomic.Bool

	mu    sync.Mutex
	untie func()
	over  bool // net/http has the writer back, or the connection is closed
}

// begin looks at the response when its header goes out.
func (t *tied) begin(status int) {
	if t.begun {
		return
	}
	if status < 200 {
		t.websocket = status == http.StatusSwitchingProtocols && isWebSocket(t.Header().Get("Upgrade"))
		return
	}
	t.begun = true
	switch header := t.Header(); {
	case t.tunnel != nil && status < 300:
		t.tunnels = true
		t.tie(t.tunnel.end)
	case t.bodyless || status == http.StatusNoContent || status == http.StatusNotModified:
	case isStream(header.Get("Content-Type")):
		t.streams = true
		t.tie(t.end)
	case header.Get("Content-Length") == "":
		t.streams = true
		t.late = time.AfterFunc(unsizedAfter, func() { t.tie(t.end) })
	}
}

// isStream reports whether a response of this type is meant to go on.
func isStream(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(media)) {
	case "text/event-stream", "application/x-ndjson", "multipart/x-mixed-replace":
		return true
	}
	return false
}

// tie ties what is not over yet.
func (t *tied) tie(end func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over || t.untie != nil {
		return
	}
	t.untie = t.shared.Tie(t.grant, end)
	t.count(+1)
}

// loose unties it: nothing is left to be ended.
func (t *tied) loose() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over && t.untie != nil {
		t.untie()
		t.count(-1)
	}
	t.over = true
}

func (t *tied) count(delta int) {
	if t.gauge != nil {
		t.gauge(delta)
	}
}

// end breaks a response off.
func (t *tied) end() {
	t.ended.Store(true)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over {
		t.cancel()
		t.reset()
	}
}

// past is a deadline that has been missed.
var past = time.Unix(1, 0)

// reset has reads and writes that wait for the client fail, and resets a
// stream of HTTP/2. Straight at the connection: Caddy's own writer, which is
// in between, sets deadlines itself and is the serving goroutine's. The caller
// holds mu, and it is not over.
func (t *tied) reset() {
	w := t.ResponseWriter
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = u.Unwrap()
	}
	ctl := http.NewResponseController(w)
	_ = ctl.SetWriteDeadline(past)
	_ = ctl.SetReadDeadline(past)
}

// finish is called when the handler has returned.
func (t *tied) finish() {
	if t.late != nil {
		t.late.Stop()
	}
	if t.hijacked {
		return // it is over when the connection is closed
	}
	if t.tunnels {
		t.tunnel.detach()
	}
	t.loose()
	if t.ended.Load() {
		// An orderly end would tell the client that this was all.
		panic(http.ErrAbortHandler)
	}
}

// WriteHeader implements [http.ResponseWriter].
func (t *tied) WriteHeader(status int) {
	t.begin(status)
	t.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (t *tied) Write(p []byte) (int, error) {
	t.begin(http.StatusOK)
	if t.tunnels {
		return t.tunnel.Write(p)
	}
	if t.ended.Load() {
		return 0, errEnded
	}
	return t.ResponseWriterWrapper.Write(p)
}

// ReadFrom implements [io.ReaderFrom].
func (t *tied) ReadFrom(r io.Reader) (int64, error) {
	t.begin(http.StatusOK)
	switch {
	case t.tunnels:
		return io.Copy(t.tunnel, r)
	case t.streams:
		// Hides r from sendfile, which serves sized responses only anyhow.
		r = &untilEnded{t, r}
	}
	return t.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError is what [http.ResponseController.Flush] calls.
func (t *tied) FlushError() error {
	t.begin(http.StatusOK)
	if t.tunnels {
		return t.tunnel.flush()
	}
	if t.ended.Load() {
		return errEnded
	}
	return t.flush()
}

func (t *tied) flush() error { return http.NewResponseController(t.ResponseWriter).Flush() }

// untilEnded is a body that comes to an end with its response.
type untilEnded struct {
	t *tied
	r io.Reader
}

func (u *untilEnded) Read(p []byte) (int, error) {
	if u.t.ended.Load() {
		return 0, errEnded
	}
	return u.r.Read(p)
}

var (
	_ http.ResponseWriter             = (*tied)(nil)
	_ http.Hijacker                   = (*tied)(nil)
	_ http.Pusher                     = (*tied)(nil)
	_ io.ReaderFrom                   = (*tied)(nil)
	_ interface{ FlushError() error } = (*tied)(nil)
)
