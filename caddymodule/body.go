package caddymodule

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// bodyTimeout is how long a client may take to send the whole body of a request
// to the API, which is a few hundred bytes. Caddy bounds but the time between
// two of them: with one byte a minute, a stranger would stay inside for hours,
// and keep open what a reload has replaced (slowloris). Tests make it shorter.
var bodyTimeout = 10 * time.Second

// punctual bounds how long the body of r may take, and returns what puts r back.
func punctual(w http.ResponseWriter, r *http.Request) (restore func()) {
	if r.Body == nil || r.Body == http.NoBody {
		return func() {}
	}
	if srv, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok && srv.ReadTimeout > 0 && time.Duration(srv.ReadTimeout) <= bodyTimeout {
		return func() {} // the operator is stricter; his deadline is running
	}
	body, ctl := r.Body, http.NewResponseController(w)
	if ctl.SetReadDeadline(time.Now().Add(bodyTimeout)) != nil {
		return func() {} // a writer of a test
	}
	r.Body = &punctualBody{body, ctl}
	return func() { r.Body = body }
}

// punctualBody takes the deadline away when the body is complete. From then on,
// net/http reads ahead on a connection of HTTP/1 to notice when the client
// goes, and would take the deadline for that and cancel the request.
//
// Otherwise it stays: what is left of the body when the handler has answered is
// still read, to find the next request behind it, and net/http sets another
// deadline for that one.
type punctualBody struct {
	io.ReadCloser
	ctl *http.ResponseController
}

func (b *punctualBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.ctl.SetReadDeadline(time.Time{})
	}
	return n, err
}
