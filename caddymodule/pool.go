package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// services are the running services of this process, keyed by a digest of the
// settings that need another service when they change. A reload with the same
// of those finds the service where it was, with its pool and cache.
var services = caddy.NewUsagePool()

// hard are those settings.
type hard struct {
	store    Opener
	cache    cache.Config
	feed     authsvc.Feed
	xivoUUID string
}

func (h hard) key() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d %d\n%+v\n%q", h.store.StoreKey(), h.cache.Grants, h.cache.Negative, h.feed, h.xivoUUID))
	return hex.EncodeToString(sum[:])
}

// soft are the settings that a reload changes in place.
type soft struct {
	settings  authsvc.Settings
	bootstrap *authsvc.Bootstrap
	log       slog.Handler
}

// wants are the settings that [authsvc.Service.Prepare] goes by.
func (s soft) wants() string {
	admin := ""
	if s.bootstrap != nil {
		admin = s.bootstrap.User
	}
	return admin + "\n" + fingerprint(s.settings.Defaults)
}

// shared is a service and what must outlive any single configuration with it.
// It holds nothing that belongs to one: no context, logger or registry.
type shared struct {
	*authsvc.Service
	sink     *sink
	inflight atomic.Int64
	ended    context.Context // done when the service is to be closed
	end      context.CancelFunc

	mu       sync.Mutex
	stack    []*generation // configurations that were started and not stopped
	prepared bool
	ready    string // what it was prepared with; see soft.wants
	healing  bool
}

// generation is one started configuration's claim on a shared service.
type generation struct{ soft soft }

// openShared is the constructor for [services]. It dials nothing.
func openShared(h hard, s soft) (*shared, error) {
	sh := &shared{sink: newSink(s.log)}
	st, err := h.store.OpenStore(store.Options{Log: slog.New(sh.sink), Trace: traceStore})
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	// Nothing is to be removed on behalf of a configuration that may only be
	// checked: the janitor begins its work when one is activated.
	s.settings.CleanupInterval = -1
	sh.ended, sh.end = context.WithCancel(context.Background())
	sh.Service, err = authsvc.New(authsvc.Config{
		Store:      st,
		Cache:      h.cache,
		Feed:       h.feed,
		XiVOUUID:   h.xivoUUID,
		Now:        clock,
		StoreClock: storeClock,
		Log:        slog.New(sh.sink),
		ClientAddr: clientAddr,
	}, s.settings)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return sh, nil
}

// clock is the service's clock; tests set another one.
var clock = time.Now

// storeClock is false where clock tells a time that is made up.
var storeClock = true

// clientAddr is the address Caddy found under its trusted_proxies, and never
// what the client merely claims in X-Forwarded-For (authentik CVE-2023-36456).
func clientAddr(r *http.Request) string {
	if ip, ok := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string); ok {
		return ip
	}
	return ""
}

// activate puts a configuration's settings in force.
func (sh *shared) activate(s soft) *generation {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	g := &generation{s}
	sh.stack = append(sh.stack, g)
	sh.apply(s)
	sh.StartFeed()
	return g
}

// deactivate withdraws them. Caddy starts a new configuration before it stops
// the old one, and stops the new one again when another app of it fails to
// start: then the settings below it on the stack are put back, so that a
// rejected reload changes nothing.
func (sh *shared) deactivate(g *generation) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	i := slices.Index(sh.stack, g)
	if i < 0 {
		return
	}
	last := i == len(sh.stack)-1
	sh.stack = slices.Delete(sh.stack, i, i+1)
	if last && i > 0 {
		sh.apply(sh.stack[i-1].soft)
	}
}

// inForce returns what was activated last, nil when nothing is active.
func (sh *shared) inForce() *generation {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if len(sh.stack) == 0 {
		return nil
	}
	return sh.stack[len(sh.stack)-1]
}

func (sh *shared) apply(s soft) {
	sh.sink.redirect(s.log)
	sh.Apply(s.settings)
}

// closed is what inflight holds when nobody may enter any more: so far below
// zero that those who try and leave again cannot lift it.
const closed = math.MinInt64 / 2

// enter keeps the service from being closed until leave is called. It is false
// when it is closed already, which only a request that was accepted long
// before the reload that replaced the service can meet.
func (sh *shared) enter() bool {
	if sh.inflight.Add(1) > 0 {
		return true
	}
	sh.inflight.Add(-1)
	return false
}

func (sh *shared) leave() { sh.inflight.Add(-1) }

// linger is how long a service that no configuration uses any more stays open
// for requests that are on their way to it: Caddy does not wait for them when
// it swaps configurations. Tests make it shorter.
var linger = 5 * time.Second

// drainGrace is how long it then waits for those inside before it gives the
// store's connections back under them. Tests make it shorter.
var drainGrace = time.Minute

const (
	// exitGrace bounds how long a dying process waits for them.
	exitGrace = 5 * time.Second
	// drainPoll is how often a drain looks whether the last one has left.
	drainPoll = 20 * time.Millisecond
)

// Destruct implements [caddy.Destructor]: no configuration uses the service
// any more, but requests may still be inside it, or about to be.
func (sh *shared) Destruct() error {
	sh.end()
	if caddy.Exiting() {
		if !sh.drain(time.Now().Add(exitGrace)) {
			return sh.Store.Close() // the cache dies with the process
		}
		return sh.Close()
	}
	go func() {
		time.Sleep(linger)
		if !sh.drain(time.Now().Add(drainGrace)) {
			sh.evict()
		}
		if err := sh.Close(); err != nil {
			caddy.Log().Named("xivo_auth").Error("closing a replaced service: " + err.Error())
		}
	}()
	return nil
}

// drain waits until no request is inside, lets none in again and returns true.
// After the deadline it waits no longer and returns false.
func (sh *shared) drain(deadline time.Time) bool {
	for !sh.inflight.CompareAndSwap(0, closed) {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(drainPoll)
	}
	return true
}

// evict lets no request in again and closes the store under those who are still
// inside, so that no client who reads or writes slowly keeps connections to a
// database that was replaced long ago: what they still want of it fails as it
// does while it is down. Memory stays until the last has left, for a cache must
// not be closed under one who looks something up in it.
func (sh *shared) evict() {
	sh.inflight.Add(closed)
	if err := sh.Store.Close(); err != nil {
		caddy.Log().Named("xivo_auth").Error("closing the store of a replaced service: " + err.Error())
	}
	for sh.inflight.Load() != closed {
		time.Sleep(drainPoll)
	}
}
