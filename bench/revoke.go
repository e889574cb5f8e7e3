//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Revocation is how long a revocation at one of three nodes takes to be
// refused by the two others, from the answer to the DELETE on, which comes
// after the commit.
type Revocation struct {
	Nodes   int     `json:"nodes"`
	Samples int     `json:"samples"`
	Other   Latency `json:"other"` // one other node
	Last    Latency `json:"last"`  // the last of them
}

// revocation measures three nodes of its own over one Postgres.
func (b *bench) revocation(ctx context.Context) (r Revocation, err error) {
	nodes := []*node{b.node}
	for _, name := range []string{"second", "third"} {
		n, err := startNode(ctx, b.world, b.dir, name, b.upstreamAddr)
		if err != nil {
			return r, err
		}
		defer n.stop()
		if err := n.feed(ctx, "live"); err != nil {
			return r, err
		}
		nodes = append(nodes, n)
	}
	if err := b.world.issue(ctx, "revoked", 0, b.plan.revocations, time.Now().Add(12*time.Hour), accessList(30)...); err != nil {
		return r, err
	}
	var other, last histogram
	for i := range b.plan.revocations {
		each, err := revokeOne(nodes, token("revoked", int64(i)))
		if err != nil {
			return r, err
		}
		slowest := time.Duration(0)
		for _, d := range each {
			other.record(d)
			slowest = max(slowest, d)
		}
		last.record(slowest)
		if err := ctx.Err(); err != nil {
			return r, err
		}
	}
	return Revocation{len(nodes), b.plan.revocations, other.latency(), last.latency()}, nil
}

// revokeOne revokes a token at the first node while the others are asked
// about it all the time, and tells when each of them first refused it.
func revokeOne(nodes []*node, tok string) ([]time.Duration, error) {
	refused := make([]time.Time, len(nodes))
	ask := func(n *node, method string) client {
		return newRawClient(n.addr("api"), &request{method: method, path: "/0.1/token/{token}"}, nil)
	}
	for _, n := range nodes { // everybody has it in memory
		c := ask(n, http.MethodHead)
		status, err := c.do(tok)
		c.close()
		if err != nil || status != http.StatusNoContent {
			return nil, fmt.Errorf("a token that was just issued: %d, %w", status, err)
		}
	}
	errs := make([]error, len(nodes))
	var group sync.WaitGroup
	for i, n := range nodes[1:] {
		group.Go(func() {
			c := ask(n, http.MethodHead)
			defer c.close()
			for began := time.Now(); time.Since(began) < patience; time.Sleep(100 * time.Microsecond) {
				status, err := c.do(tok)
				if err != nil || status == http.StatusNotFound {
					refused[i+1], errs[i+1] = time.Now(), err
					return
				}
			}
			errs[i+1] = fmt.Errorf("still accepted after %s", patience)
		})
	}
	c := ask(nodes[0], http.MethodDelete)
	status, err := c.do(tok)
	revoked := time.Now()
	c.close()
	group.Wait()
	if err != nil || status != http.StatusOK {
		return nil, fmt.Errorf("revoking a token: %d, %w", status, err)
	}
	each := make([]time.Duration, 0, len(nodes)-1)
	for i := 1; i < len(nodes); i++ {
		if errs[i] != nil {
			return nil, errs[i]
		}
		// The news may be there before the answer is.
		each = append(each, max(0, refused[i].Sub(revoked)))
	}
	return each, nil
}
