// Package client tells who is taken for one client where that matters because
// some of them want more than their share: who guesses passwords, and who waits
// to have one checked.
package client

import (
	"context"
	"net/netip"
)

// Of names the client at an address: the address, or the /64 of one of IPv6, of
// which whoever has one has all. Text that is no address is itself.
func Of(addr string) string {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return addr
	}
	if ip = ip.Unmap().WithZone(""); ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			ip = p.Addr()
		}
	}
	return ip.String()
}

type key struct{}

// With returns a context for what is done for the client at addr.
func With(ctx context.Context, addr string) context.Context {
	return context.WithValue(ctx, key{}, Of(addr))
}

// From names the client that a context is for; "" where it is for none, as on
// the command line.
func From(ctx context.Context) string {
	name, _ := ctx.Value(key{}).(string)
	return name
}
