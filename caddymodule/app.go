package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"go.uber.org/zap"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/assertion"
	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
)

// App is the token service. Its handlers, xivo_auth_api and xivo_auth_guard,
// may appear on any number of servers and all use this one service; an app
// that is not configured is made with the defaults below when a handler asks
// for it.
//
// A reload keeps the service, with its connections and its cache, unless the
// store, the cache's sizes or the stack's uuid change.
type App struct {
	// Store keeps users, tokens and everything else. Default: what the
	// environment variable XIVO_AUTH_DSN names when the configuration is
	// loaded, a Postgres or sqlite:<path>, else SQLite in Caddy's data
	// directory.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=xivo_auth.stores inline_key=engine"`

	// Backends are the ways to log in, in order. Default: wazo_user alone.
	BackendsRaw []json.RawMessage `json:"backends,omitempty" caddy:"namespace=xivo_auth.backends inline_key=backend"`

	// Cache is the memory of tokens in front of the store.
	Cache CacheConfig `json:"cache,omitzero"`

	// StaleIfError is how long after the store last vouched for it a token
	// is still accepted while the store cannot be reached. It tells only
	// where it is longer than the cache's max_age. Default 30s.
	StaleIfError caddy.Duration `json:"stale_if_error,omitempty"`

	// Feed says how this node hears of revocations made elsewhere: by other
	// nodes, the command line, the Python service or hand.
	Feed FeedConfig `json:"feed,omitzero"`

	// TokenLifetime is the lifetime of a token whose client asks for none,
	// in whole seconds. Default 2h.
	TokenLifetime caddy.Duration `json:"token_lifetime,omitempty"`

	// DefaultUserPolicy is the name of a policy of the top tenant whose
	// accesses every token gets before its user's own. Default: none.
	DefaultUserPolicy string `json:"default_user_policy,omitempty"`

	// BackendPolicies names such a policy by the backend a login asks for;
	// where one is named, it takes the place of default_user_policy.
	BackendPolicies map[string]string `json:"backend_policies,omitempty"`

	// MaxUserSessions is how many sessions a user may have at once; a login
	// too many is answered 429. Users of purpose internal have no limit.
	// Default 100; negative: no limit.
	MaxUserSessions int `json:"max_user_sessions,omitempty"`

	// UserAdminStatus adds to the metadata of users whether they are
	// administrators: the plugin user_admin_status of the historical
	// service, which the stack turns on. Default false.
	UserAdminStatus bool `json:"user_admin_status,omitempty"`

	Defaults

	// ConfigSecrets shows the DSN of the store and the password of bootstrap
	// in GET /config, as the historical service does: to everybody of the top
	// tenant with auth.config.read. Default false: they are redacted.
	ConfigSecrets bool `json:"config_secrets,omitempty"`

	// CleanupInterval is how often expired tokens are removed from the
	// store. Default 60s; less than a second: never.
	CleanupInterval caddy.Duration `json:"cleanup_interval,omitempty"`

	// CleanupBatch is how many of them one transaction removes.
	// Default 5000.
	CleanupBatch int `json:"cleanup_batch,omitempty"`

	// Bootstrap names the first administrator. He is created when the
	// database holds no user at all, and never otherwise. Default: nobody.
	Bootstrap *BootstrapConfig `json:"bootstrap,omitempty"`

	// XiVOUUID identifies the stack in tokens. Placeholders are expanded.
	// Default: the environment variable XIVO_UUID, else null.
	XiVOUUID string `json:"xivo_uuid,omitempty"`

	// StartupCheck tells what to do when the database is not ready when the
	// configuration is loaded: "warn" (the default) starts all the same,
	// answers 503 and keeps trying; "require" refuses the configuration.
	StartupCheck string `json:"startup_check,omitempty"`

	// CORS are the cross-origin rules of the API.
	CORS CORSConfig `json:"cors,omitzero"`

	// Services are the services behind guards, by name.
	Services map[string]*Service `json:"services,omitempty"`

	// Assertion says how the statements are signed that guards with
	// assertion send to their upstreams.
	Assertion AssertionConfig `json:"assertion,omitzero"`

	ctx    caddy.Context
	log    *zap.Logger
	key    string
	shared atomic.Pointer[shared] // set by Provision last of all; what Cleanup trusts
	soft   soft
	claim  *generation

	policies map[string]*guard.Policy // of the services
}

// CacheConfig sizes the cache of tokens.
type CacheConfig struct {
	// Grants is how many tokens fit. Default 1000000, about 400 MB when
	// full.
	Grants int `json:"grants,omitempty"`
	// Negative is how many unknown tokens are remembered. Default 65536.
	Negative int `json:"negative,omitempty"`
	// NegativeTTL is for how long. Default 10s.
	NegativeTTL caddy.Duration `json:"negative_ttl,omitempty"`
	// MaxAge is how long a token is accepted from memory before the store
	// is asked again. Default 5m.
	MaxAge caddy.Duration `json:"max_age,omitempty"`
}

// AssertionConfig says how statements about requests are signed.
type AssertionConfig struct {
	// Keys are files with Ed25519 private keys (PEM, PKCS #8), such as
	// openssl genpkey -algorithm ed25519 makes. The first one signs; all are
	// published, so that upstreams know a key before it is used, and after.
	// All nodes need the same. Default: a key made when the process starts,
	// which no other node knows.
	Keys []string `json:"keys,omitempty"`
	// Issuer is the claim iss. Default xivo-auth.
	Issuer string `json:"issuer,omitempty"`
	// Lifetime is how long a statement is good, 1m at most. Default 30s.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`
}

// FeedConfig says how revocations made elsewhere are heard of. Triggers in the
// database, all named xivo_edge_, log them.
type FeedConfig struct {
	// Off installs nothing and hears of nothing: what is revoked elsewhere is
	// noticed within the cache's max_age.
	Off bool `json:"off,omitempty"`
	// Poll reads the log this often, for databases and poolers without
	// NOTIFY. Default: Postgres tells by NOTIFY; SQLite is read every 250ms.
	Poll caddy.Duration `json:"poll,omitempty"`
	// Retention is how long log entries are kept. A node that was cut off for
	// longer looks every token up again. Default 1h.
	Retention caddy.Duration `json:"retention,omitempty"`
}

// BootstrapConfig names the first administrator.
type BootstrapConfig struct {
	// User is his login.
	User string `json:"user"`
	// Password is his password. It is a secret, so give it as a
	// placeholder: {env.NAME} or {file./run/secrets/name}. When it is empty,
	// one is generated and printed on standard error once.
	Password string `json:"password,omitempty"`
}

// CORSConfig are cross-origin rules.
type CORSConfig struct {
	// Disabled sends no cross-origin headers.
	Disabled bool `json:"disabled,omitempty"`
	// AllowHeaders are the request headers a preflight may ask for. Default:
	// Content-Type, Authorization, X-Auth-Token, Wazo-Tenant,
	// Wazo-Session-Type.
	AllowHeaders []string `json:"allow_headers,omitempty"`
}

// The words of startup_check.
const (
	checkWarn    = "warn"
	checkRequire = "require"
)

// CaddyModule implements [caddy.Module].
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "xivo_auth", New: func() caddy.Module { return new(App) }}
}

// Provision implements [caddy.Provisioner]. It neither dials nor writes: a
// configuration can be checked with the database down.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.log = ctx, ctx.Logger()
	if a.StartupCheck == "" {
		a.StartupCheck = checkWarn
	}
	if a.StartupCheck != checkWarn && a.StartupCheck != checkRequire {
		return fmt.Errorf("startup_check is %q: it is one of %s, %s", a.StartupCheck, checkWarn, checkRequire)
	}
	opener, err := a.loadStore(ctx)
	if err != nil {
		return err
	}
	if err := a.loadSoft(ctx, opener); err != nil {
		return err
	}
	if err := a.loadServices(ctx.Slogger()); err != nil {
		return err
	}
	h := hard{
		store: opener,
		cache: cache.Config{Grants: a.Cache.Grants, Negative: a.Cache.Negative},
		feed:  authsvc.Feed{Off: a.Feed.Off, Poll: time.Duration(a.Feed.Poll), Retention: time.Duration(a.Feed.Retention)},
	}
	if h.xivoUUID, err = a.expand(a.XiVOUUID, "{env.XIVO_UUID}"); err != nil {
		return fmt.Errorf("expanding xivo_uuid: %w", err)
	}
	if pg, ok := opener.(*Postgres); ok && pg.ReadReplica != "" && (h.feed.Off || h.feed.Poll > 0) {
		return errors.New("read_replica needs the feed to listen: without that, nobody can tell whether a replica has replayed what was revoked")
	}
	key := h.key()
	v, _, err := services.LoadOrNew(key, func() (caddy.Destructor, error) { return openShared(h, a.soft) })
	if err != nil {
		return fmt.Errorf("opening the token service: %w", err)
	}
	a.key = key
	a.shared.Store(v.(*shared))
	return nil
}

func (a *App) loadStore(ctx caddy.Context) (Opener, error) {
	if a.StoreRaw == nil {
		var st caddy.Module = new(SQLite)
		dsn := os.Getenv("XIVO_AUTH_DSN")
		if path, isFile := strings.CutPrefix(dsn, "sqlite:"); isFile {
			st = &SQLite{Path: path}
		} else if dsn != "" {
			st = &Postgres{DSN: "{env.XIVO_AUTH_DSN}"}
		}
		a.StoreRaw = caddyconfig.JSONModuleObject(st, "engine", st.CaddyModule().ID.Name(), nil)
	}
	mod, err := ctx.LoadModule(a, "StoreRaw")
	if err != nil {
		return nil, fmt.Errorf("loading the store: %w", err)
	}
	opener, ok := mod.(Opener)
	if !ok {
		return nil, fmt.Errorf("%T is not a store", mod)
	}
	return opener, nil
}

func (a *App) loadSoft(ctx caddy.Context, st Opener) error {
	set := authsvc.Settings{
		Cache: cache.Limits{
			MaxAge:       time.Duration(a.Cache.MaxAge),
			NegativeTTL:  time.Duration(a.Cache.NegativeTTL),
			StaleIfError: time.Duration(a.StaleIfError),
		},
		TokenLifetime:     time.Duration(a.TokenLifetime),
		DefaultUserPolicy: a.DefaultUserPolicy,
		BackendPolicies:   a.BackendPolicies,
		MaxUserSessions:   a.MaxUserSessions,
		AdminStatus:       a.UserAdminStatus,
		CleanupInterval:   time.Duration(a.CleanupInterval),
		CleanupBatch:      a.CleanupBatch,
		CORS:              httpapi.CORS{Disabled: a.CORS.Disabled, AllowHeaders: a.CORS.AllowHeaders},
	}
	if lifetime := set.TokenLifetime; lifetime != 0 && (lifetime < time.Second || lifetime%time.Second != 0) {
		return fmt.Errorf("token_lifetime is %s: it is a positive number of whole seconds", lifetime)
	}
	if a.BackendsRaw != nil {
		mods, err := ctx.LoadModule(a, "BackendsRaw")
		if err != nil {
			return fmt.Errorf("loading the backends: %w", err)
		}
		var makers []BackendMaker
		for _, m := range mods.([]any) {
			maker, ok := m.(BackendMaker)
			if !ok {
				return fmt.Errorf("%T is not a backend", m)
			}
			makers = append(makers, maker)
		}
		set.Backends = func(s *authsvc.Service) *backends.Set {
			list := make([]backends.Backend, len(makers))
			for i, m := range makers {
				list[i] = m.MakeBackend(s)
			}
			return backends.NewSet(list...)
		}
	}
	var err error
	if set.Defaults, err = a.loadDefaults(); err != nil {
		return err
	}
	if set.Assertion, err = a.Assertion.signer(); err != nil {
		return err
	}
	a.soft = soft{settings: set, log: ctx.Slogger().Handler()}
	if b := a.Bootstrap; b != nil {
		if b.User == "" {
			return errors.New("bootstrap names no user")
		}
		pass, err := a.expand(b.Password, "")
		if err != nil {
			return fmt.Errorf("expanding the bootstrap password: %w", err)
		}
		a.soft.bootstrap = &authsvc.Bootstrap{User: b.User, Password: pass}
	}
	a.soft.settings.Shown = a.shown(st)
	return nil
}

// signer makes what signs assertions, nil for the service's own default.
func (c *AssertionConfig) signer() (*assertion.Signer, error) {
	if len(c.Keys) == 0 && c.Issuer == "" && c.Lifetime == 0 {
		return nil, nil
	}
	cfg := assertion.Config{Issuer: c.Issuer, Lifetime: time.Duration(c.Lifetime), Now: clock}
	for _, file := range c.Keys {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading a key of assertions: %w", err)
		}
		cfg.Keys = append(cfg.Keys, raw)
	}
	s, err := assertion.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("preparing assertions: %w", err)
	}
	return s, nil
}

// expand replaces the placeholders of value, or of otherwise when that is
// empty. What an unset variable stands for is empty.
func (*App) expand(value, otherwise string) (string, error) {
	if value == "" {
		value = otherwise
	}
	return caddy.NewReplacer().ReplaceOrErr(value, false, true)
}

// Start implements [caddy.App].
func (a *App) Start() error {
	sh := a.shared.Load()
	a.claim = sh.activate(a.soft)
	if err := sh.prepare(a.soft, a.StartupCheck == checkRequire); err != nil {
		return err // Cleanup follows, and no Stop
	}
	a.welcome()
	return nil
}

// Stop implements [caddy.App]. It closes nothing: apps stop in any order, and
// requests outlive them.
func (a *App) Stop() error {
	if sh := a.shared.Load(); sh != nil {
		sh.deactivate(a.claim)
	}
	return nil
}

// Cleanup implements [caddy.CleanerUpper]. Caddy calls it after a Provision
// that failed, too; only a reference that this app took may be given back.
func (a *App) Cleanup() error {
	sh := a.shared.Swap(nil)
	if sh == nil {
		return nil
	}
	// Caddy stops neither an app that failed to start nor, when it gives a
	// configuration up after all have started, any of its apps.
	sh.deactivate(a.claim)
	_, err := services.Delete(a.key)
	return err
}

// loadApp returns the service of the app, which it has Caddy make with its
// defaults where it is not configured.
func loadApp(ctx caddy.Context) (*shared, error) {
	app, err := ctx.App("xivo_auth")
	if err != nil {
		return nil, fmt.Errorf("loading the xivo_auth app: %w", err)
	}
	return app.(*App).shared.Load(), nil
}

var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
