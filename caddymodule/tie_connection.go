package caddymodule

import (
	"context"
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// connectionKey is where the context of a connection has what cancels it.
type connectionKey struct{}

// tieable has the connections of srv begin with a context that can be cancelled.
// HTTP/1 serves one request at a time, so cancelling its connection's is
// cancelling the request's, and saves every request a context of its own, which
// would be most of what a tie costs. It is for Provision, as [caddyhttp.Server]
// has it, and may be called any number of times.
func tieable(srv *caddyhttp.Server) {
	srv.RegisterConnContext(func(ctx context.Context, _ net.Conn) context.Context {
		if ctx.Value(connectionKey{}) != nil {
			return ctx
		}
		// Nothing needs to be let go with the connection: a server's own
		// context is never cancelled, and so keeps no list of its children.
		ctx, cancel := context.WithCancel(ctx)
		return context.WithValue(ctx, connectionKey{}, cancel)
	})
}

// cancelOf returns what cancels r, and whatever else would come on its
// connection; nil where the connection cannot be cancelled or serves other
// requests beside r.
func cancelOf(r *http.Request) context.CancelFunc {
	if r.ProtoMajor != 1 {
		return nil
	}
	cancel, _ := r.Context().Value(connectionKey{}).(context.CancelFunc)
	return cancel
}
