package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
)

// probeStore is an SQLite store whose failures a test decides on.
type probeStore struct {
	Path string `json:"path"`
	// Size only makes another service of it.
	Size int `json:"size,omitempty"`
}

func (*probeStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "xivo_auth.stores.probe", New: func() caddy.Module { return new(probeStore) }}
}

// UnmarshalCaddyfile takes a path and a size.
func (p *probeStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) (err error) {
	d.Next()
	args := d.RemainingArgs()
	p.Path = args[0]
	if len(args) > 1 {
		p.Size, err = strconv.Atoi(args[1])
	}
	return err
}

func (p *probeStore) StoreKey() string { return fmt.Sprintf("probe %q %d", p.Path, p.Size) }

func (p *probeStore) OpenStore(o store.Options) (store.Store, error) {
	o.MaxConns = 4
	st, err := sqlite.Open(p.Path, o)
	if err != nil {
		return nil, err
	}
	openProbes.Add(1)
	s := probeSwitches(p.Path)
	s.opens.Add(1)
	return &probe{Store: st, switches: s}, nil
}

// openProbes counts the stores that were opened and not closed.
var openProbes atomic.Int64

// switches belong to a path, so that a test can set them before the store is
// opened.
type switches struct {
	down                 atomic.Bool
	opens, closes, reads atomic.Int64
	purges               atomic.Int64
	gate, stateGate      atomic.Pointer[gate]
}

// gate holds reads of tokens up, or of the schema's state.
type gate struct{ entered, open chan struct{} }

var allSwitches sync.Map

func probeSwitches(path string) *switches {
	s, _ := allSwitches.LoadOrStore(path, new(switches))
	return s.(*switches)
}

func (n *node) switches() *switches { return probeSwitches(n.db) }

type probe struct {
	store.Store
	*switches
	once sync.Once
}

var errDown = fmt.Errorf("%w: dial tcp: connection refused", store.ErrUnavailable)

func (p *probe) State(ctx context.Context) (store.SchemaState, error) {
	if g := p.stateGate.Load(); g != nil {
		g.entered <- struct{}{}
		<-g.open
	}
	if p.down.Load() {
		return 0, errDown
	}
	return p.Store.State(ctx)
}

func (p *probe) Token(ctx context.Context, id string) (store.Token, error) {
	p.reads.Add(1)
	if g := p.gate.Load(); g != nil {
		g.entered <- struct{}{}
		select {
		case <-g.open:
		case <-ctx.Done():
			return store.Token{}, ctx.Err()
		}
	}
	if p.down.Load() {
		return store.Token{}, errDown
	}
	return p.Store.Token(ctx, id)
}

func (p *probe) TenantTree(ctx context.Context) ([]store.Tenant, error) {
	if p.down.Load() {
		return nil, errDown
	}
	return p.Store.TenantTree(ctx)
}

func (p *probe) CredentialsByLogin(ctx context.Context, login string) (store.Credentials, error) {
	if p.down.Load() {
		return store.Credentials{}, errDown
	}
	return p.Store.CredentialsByLogin(ctx, login)
}

func (p *probe) DeleteExpiredTokens(ctx context.Context, now int64, limit int) ([]store.EndedToken, error) {
	p.purges.Add(1)
	return p.Store.DeleteExpiredTokens(ctx, now, limit)
}

func (p *probe) Close() error {
	p.once.Do(func() { // a store may be closed more than once
		openProbes.Add(-1)
		p.closes.Add(1)
	})
	return p.Store.Close()
}

// instant is wazo_user without the hashing, which takes most of a second
// under the race detector: everybody's password is alicePassword.
type instant struct{ users backends.CredentialStore }

func (*instant) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "xivo_auth.backends.instant", New: func() caddy.Module { return new(instant) }}
}

func (*instant) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

func (*instant) MakeBackend(s *authsvc.Service) backends.Backend { return &instant{s.Store} }

func (*instant) Name() string { return backends.Default }

func (i *instant) Authenticate(ctx context.Context, a backends.Attempt) (backends.Identity, error) {
	c, err := i.users.CredentialsByLogin(ctx, a.Login)
	switch {
	case errors.Is(err, store.ErrNotFound), a.Password != alicePassword:
		return backends.Identity{}, backends.ErrRefused
	case err != nil:
		return backends.Identity{}, err
	}
	return backends.Identity{AuthID: c.UUID, TenantUUID: c.TenantUUID, Purpose: c.Purpose}, nil
}

// faultyApp is another app in the configuration, and fails where told to.
type faultyApp struct {
	FailAt string `json:"fail_at"`
}

// atStart is called by Start of every faultyApp.
var atStart atomic.Pointer[func()]

func (*faultyApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "meddler", New: func() caddy.Module { return new(faultyApp) }}
}

func (f *faultyApp) fail(at string) error {
	if f.FailAt == at {
		return errors.New("faulty at " + at)
	}
	return nil
}

func (f *faultyApp) Provision(ctx caddy.Context) error {
	if f.FailAt == "provision-late" {
		// After ours, whatever the order.
		if _, err := ctx.App("xivo_auth"); err != nil {
			return err
		}
		return errors.New("faulty at provision-late")
	}
	return f.fail("provision")
}

func (f *faultyApp) Validate() error { return f.fail("validate") }

func (f *faultyApp) Start() error {
	if hook := atStart.Load(); hook != nil {
		(*hook)()
	}
	return f.fail("start")
}

func (*faultyApp) Stop() error { return nil }

// meddle is a handler that has the faultyApp made.
type meddle struct{}

func (*meddle) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.meddle", New: func() caddy.Module { return new(meddle) }}
}

func (*meddle) Provision(ctx caddy.Context) error {
	_, err := ctx.App("meddler")
	return err
}

func (*meddle) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return next.ServeHTTP(w, r)
}

func init() {
	httpcaddyfile.RegisterHandlerDirective("meddle", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return new(meddle), nil
	})
	caddy.RegisterModule(&meddle{})
	caddy.RegisterModule(&probeStore{})
	caddy.RegisterModule(&faultyApp{})
	caddy.RegisterModule(&instant{})
}

// faulty puts a faultyApp into a configuration.
func faulty(at string) func(map[string]any) {
	return func(cfg map[string]any) { cfg["apps"].(map[string]any)["meddler"] = map[string]any{"fail_at": at} }
}
