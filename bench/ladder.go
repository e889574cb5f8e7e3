//go:build linux

package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// The sets of tokens that [world.issue] makes for the rungs.
const (
	setPlain   = "plain"   // 30 accesses, read over and over
	setLong    = "long"    // one with 300 accesses
	setMissed  = "missed"  // each used once
	setExpired = "expired" // no good any more
)

// inside is a set's first token.
func inside(set string) string { return token(set, 0) }

// guarded is a request to one of the node's sites. What the floor is sent is as
// long as what a rung with a tenant is sent: to pass a header on costs as much
// as to judge it.
func (b *bench) guarded(site, path string, header ...string) load {
	if len(header) == 0 {
		header = []string{"X-Same-Size: " + b.world.sub}
	}
	return load{
		addr: b.node.addr(site), conns: b.conns, want: http.StatusOK, tokens: always(inside(setPlain)),
		req: request{method: http.MethodGet, path: path, header: header, token: "X-Auth-Token"},
	}
}

// rung is one that the node alone answers for.
func (b *bench) rung(key, name string, l load) rung {
	return rung{key: key, name: name, load: l, procs: []*process{b.node.process}, admin: b.node.Admin}
}

// ladder are the rungs of the guard, each with one thing more than the one
// before, and then the cases that are not the common one.
func (b *bench) ladder() []rung {
	floor := b.guarded("proxy", userPath)
	alone := floor
	alone.addr = b.upstreamAddr
	many, miss, forged, expired := b.guarded("scope", userPath), b.guarded("scope", userPath), b.guarded("scope", userPath), b.guarded("scope", userPath)
	many.tokens = among(setPlain, b.plain)
	miss.tokens = inTurn(setMissed)
	forged.tokens, forged.want = madeUp, http.StatusUnauthorized
	expired.tokens, expired.want = always(inside(setExpired)), http.StatusUnauthorized
	unknown := b.guarded("scope", userPath)
	unknown.tokens, unknown.want = always(madeUp()), http.StatusUnauthorized
	tenant := "Wazo-Tenant: " + b.world.sub
	return []rung{
		b.rung("proxy", "1 reverse_proxy, no auth: the floor", floor),
		{key: "upstream", name: "0 the upstream alone", load: alone, procs: []*process{b.upstream}},
		b.rung("scope", "2 + guard, hit", b.guarded("scope", userPath)),
		b.rung("routes", "3 + 1 000 routes", b.guarded("routes1000", userPath)),
		b.rung("tenant", "4 + tenant check", b.guarded("routes1000", userPath, tenant)),
		b.rung("identity", "5 + identity headers", b.guarded("identity", userPath, tenant)),
		b.rung("assertion", "5 + identity headers and assertion", b.guarded("assertion", userPath, tenant)),
		b.rung("many", fmt.Sprintf("6 guard, %d tokens", b.plain), many),
		b.rung("miss", "7 guard, miss", miss),
		b.rung("unknown", "8 guard, an unknown token again and again", unknown),
		b.rung("forged", "8 guard, made-up tokens, never the same", forged),
		b.rung("expired", "9 guard, expired token", expired),
	}
}

// outage measures the guard while the store is stopped.
func (b *bench) outage(ctx context.Context) (Group, error) {
	rungs := []rung{
		b.rung("proxy", "1 reverse_proxy, no auth: the floor", b.guarded("proxy", userPath)),
		b.rung("stopped", "10 guard, store stopped", b.guarded("scope", userPath)),
	}
	if err := b.world.pg.Kill(); err != nil {
		return Group{}, err
	}
	if err := b.node.feed(ctx, "lost", "waiting"); err != nil {
		return Group{}, err
	}
	g, err := b.compare(ctx, "outage", "The guard while Postgres is stopped", rungs)
	if err != nil {
		return g, err
	}
	if err := b.world.pg.Restart(ctx); err != nil {
		return g, err
	}
	return g, b.node.feed(ctx, "live")
}

// api are the questions of the token API.
func (b *bench) api(ctx context.Context) ([]rung, error) {
	ask := func(method, path, tok, body string, want int) load {
		l := load{addr: b.node.addr("api"), conns: b.conns, want: want, tokens: always(tok), req: request{method: method, path: path, body: body}}
		if body != "" {
			l.req.header = []string{"Content-Type: application/json"}
		}
		return l
	}
	const one = "/0.1/token/{token}"
	plain, long := inside(setPlain), inside(setLong)
	refresh, err := b.refreshToken(ctx)
	if err != nil {
		return nil, err
	}
	floor := ask(http.MethodHead, one, plain, "", http.StatusNoContent)
	floor.addr = b.node.addr("respond")
	unknown := ask(http.MethodHead, one, "", "", http.StatusNotFound)
	unknown.tokens = always(madeUp())
	return []rung{
		b.rung("respond", "respond 204: the floor", floor),
		b.rung("head", "HEAD /token", ask(http.MethodHead, one, plain, "", http.StatusNoContent)),
		b.rung("get", "GET /token, 30 accesses", ask(http.MethodGet, one, plain, "", http.StatusOK)),
		b.rung("head-scope", "HEAD /token?scope=, 300 accesses", ask(http.MethodHead, one+"?scope=confd.users.read", long, "", http.StatusNoContent)),
		b.rung("head-tenant", "HEAD /token?tenant=", ask(http.MethodHead, one+"?tenant="+b.world.sub, plain, "", http.StatusNoContent)),
		b.rung("scopes", "POST /token/…/scopes/check, 5 scopes", ask(http.MethodPost, one+"/scopes/check", plain,
			`{"scopes": ["confd.users.read", "calld.resource-1.x", "auth.#", "dird.resource-3.read", "confd.users.create"]}`, http.StatusOK)),
		b.rung("head-unknown", "HEAD /token, unknown", unknown),
		b.rung("refresh", "POST /token with a refresh token", ask(http.MethodPost, "/0.1/token", "",
			`{"refresh_token": "`+refresh+`", "client_id": "bench", "expiration": 60}`, http.StatusOK)),
	}, nil
}

// login is a log-in with a password.
func (b *bench) login(conns int) load {
	basic := base64.StdEncoding.EncodeToString([]byte(userName + ":" + userPassword))
	return load{addr: b.node.addr("api"), conns: conns, want: http.StatusOK, req: request{
		method: http.MethodPost, path: "/0.1/token", body: `{"expiration": 60}`,
		header: []string{"Content-Type: application/json", "Authorization: Basic " + basic},
	}}
}

// protocols is the guard and its floor over HTTP/1.1, TLS and HTTP/2, and conns
// over 1, 16, 64 and 512 connections: one group each, with a floor of its own.
func (b *bench) protocols(ctx context.Context) ([]Group, error) {
	var groups []Group
	for _, p := range []struct {
		key, name string
		tls, h2   bool
	}{{"http1", "HTTP/1.1", false, false}, {"tls", "HTTP/1.1, TLS", true, false}, {"http2", "HTTP/2, TLS, one connection", true, true}} {
		floor, guard := b.guarded("proxy", userPath), b.guarded("scope", userPath)
		if p.tls {
			for l, site := range map[*load]string{&floor: "proxy-tls", &guard: "scope-tls"} {
				l.addr, l.tls, l.h2 = "localhost:"+b.node.Port(site), clientTLS(p.h2), p.h2
			}
		}
		g, err := b.pair(ctx, p.key, p.name, floor, guard)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}

func (b *bench) connections(ctx context.Context) ([]Group, error) {
	var groups []Group
	for _, n := range b.plan.conns {
		floor, guard := b.guarded("proxy", userPath), b.guarded("scope", userPath)
		floor.conns, guard.conns = n, n
		g, err := b.pair(ctx, fmt.Sprint("conns", n), strconv.Itoa(n), floor, guard)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// pair is the guard beside its floor.
func (b *bench) pair(ctx context.Context, key, name string, floor, guard load) (Group, error) {
	return b.compare(ctx, key, name, []rung{b.rung("proxy", "reverse_proxy", floor), b.rung("scope", "guard", guard)})
}

// constant has requests arrive at a constant rate, the same for all rungs: the
// part of what the floor can do in this run.
func (b *bench) constant(ctx context.Context, rungs []rung, capacity float64) (Group, error) {
	rate := capacity * b.plan.part
	for i := range rungs {
		rungs[i].load.conns = 64 // enough to have as many under way as a slow answer asks for
	}
	g, err := compare(ctx, "open", fmt.Sprintf("Latency when %.0f requests arrive each second", rate), rungs, b.plan.openRounds, b.plan.openSlot,
		func(l *load, d time.Duration) *outcome { return l.open(ctx, rate, d) })
	return g, err
}
