// Package authsvc is the token service as a plain Go library: what it does is
// in the rooms below, this file only puts them together and ends them. It
// imports neither Caddy nor any other server; caddymodule is the adapter.
package authsvc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/assertion"
	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/config"
	"github.com/wazo-edge/xivo-auth/authsvc/groups"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/idp"
	"github.com/wazo-edge/xivo-auth/authsvc/ldap"
	"github.com/wazo-edge/xivo-auth/authsvc/password"
	"github.com/wazo-edge/xivo-auth/authsvc/policies"
	"github.com/wazo-edge/xivo-auth/authsvc/revocation"
	"github.com/wazo-edge/xivo-auth/authsvc/sessions"
	"github.com/wazo-edge/xivo-auth/authsvc/slug"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/tenants"
	"github.com/wazo-edge/xivo-auth/authsvc/throttle"
	"github.com/wazo-edge/xivo-auth/authsvc/tokens"
	"github.com/wazo-edge/xivo-auth/authsvc/users"
)

// Config is what a service is made of and keeps for its lifetime. Changing any
// of it needs another service.
type Config struct {
	// Store is closed with the service.
	Store store.Store
	// Cache sizes the grant cache.
	Cache cache.Config
	// XiVOUUID identifies the stack in tokens and metadata; "" is null.
	XiVOUUID string
	// Location is the zone of the local times in answers. Default time.Local.
	Location *time.Location
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// StoreClock says that Now tells the real time, so that the store's clock
	// is to agree before a token is removed as expired.
	StoreClock bool
	// Feed says how revocations made elsewhere are heard of.
	Feed Feed
	// Log receives what operators need to know. Default: nothing.
	Log *slog.Logger
	// ClientAddr tells the address to record a token with. Default: the
	// peer's, which is right where no proxy stands in front.
	ClientAddr func(*http.Request) string
}

// Feed says how revocations made elsewhere are heard of.
type Feed struct {
	// Off hears of nothing: they are noticed within the cache's max_age.
	Off bool
	// Poll and Retention are those of [revocation.Config].
	Poll, Retention time.Duration
}

// Settings can change while the service runs. Zero values mean the defaults.
type Settings struct {
	// Backends makes the ways to log in, given the service. Default:
	// wazo_user alone.
	Backends func(*Service) *backends.Set
	// Providers are the identity providers that users and tenants can be set
	// to use, besides native and default. Default: saml and ldap.
	Providers []string
	// Cache bounds how long grants are trusted.
	Cache cache.Limits
	// TokenLifetime is the lifetime of a token whose client asks for none.
	// Whole seconds. Default 2 h.
	TokenLifetime time.Duration
	// DefaultUserPolicy and BackendPolicies name the policy of the top tenant
	// whose accesses a token gets before its user's own.
	DefaultUserPolicy string
	BackendPolicies   map[string]string
	// MaxUserSessions is how many sessions a user may have. Default 100;
	// negative means any number.
	MaxUserSessions int
	// AdminStatus shows in a user's metadata whether he is an administrator.
	AdminStatus bool
	// CleanupInterval is how often expired tokens are removed, CleanupBatch
	// how many in one transaction. Default 60 s and 5000; an interval under
	// a second means never.
	CleanupInterval time.Duration
	CleanupBatch    int
	// Defaults are the policies and groups that [Service.Prepare] puts into
	// the database, and new tenants get. Default nil: it touches nothing.
	Defaults *store.Defaults
	// CORS are the cross-origin rules of the API.
	CORS httpapi.CORS
	// Shown is what GET /config shows beside these settings, or instead. It
	// must hold no secret; see [Redacted].
	Shown map[string]any
	// Assertion is a signer with the keys, issuer and lifetime of the
	// assertions that [Service.Assert] makes, by the service's clock. Default:
	// one without keys. Where it has none, the service uses a key that it
	// generated for as long as it lives.
	Assertion *assertion.Signer
}

// Service is the whole service. Safe for concurrent use.
type Service struct {
	Store   store.Store
	Checker *password.Checker
	Users   *users.Service

	cfg      Config
	grants   *cache.Cache
	tenants  *tenants.Snapshot
	tokens   *tokens.Service
	guard    guard.Guard
	mux      *httpapi.Mux
	backends atomic.Pointer[backends.Set]
	methods  atomic.Pointer[idp.Methods]
	config   atomic.Pointer[map[string]any] // what is shown of it
	switches *config.Switches
	defaults atomic.Pointer[store.Defaults]
	foreign  atomic.Bool // the database has a schema that is not ours to touch
	api      atomic.Pointer[http.Handler]
	signer   atomic.Pointer[assertion.Signer]
	keyless  *assertion.Signer // the default of Settings.Assertion

	feed     *revocation.Feed // nil: off
	feedOnce sync.Once
	stopFeed func()

	janitor struct {
		sync.Mutex
		tokens.Janitor
		stop   func() // ends the running one and waits for it; nil when none
		closed bool
	}
}

// New puts a service together. It reads and writes nothing yet: see
// [Service.Prepare]. Close it in the end.
func New(cfg Config, set Settings) (*Service, error) {
	if cfg.Location == nil {
		cfg.Location = time.Local
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.ClientAddr == nil {
		cfg.ClientAddr = peerAddr
	}
	cfg.Cache.Now = cfg.Now
	switches := new(config.Switches)
	cfg.Log = slog.New(switches.Log(cfg.Log.Handler()))

	acls, err := cache.NewACLs(0)
	if err != nil {
		return nil, err
	}
	grants, err := cache.New(tokens.Loader{Store: cfg.Store, ACLs: acls}, cfg.Cache)
	if err != nil {
		return nil, err
	}
	slow, err := throttle.New(throttle.Config{Now: cfg.Now})
	if err != nil {
		return nil, err
	}
	keyless, err := assertion.New(assertion.Config{Now: cfg.Now})
	if err != nil {
		return nil, err
	}
	tree := tenants.NewSnapshot(cfg.Store, cfg.Now)
	s := &Service{
		Store:   cfg.Store,
		Checker: password.NewChecker(0),
		cfg:     cfg,
		grants:  grants,
		tenants: tree,
		guard:   guard.Guard{Grants: grants, Tenants: tree},
		keyless: keyless,

		switches: switches,
	}
	s.signer.Store(keyless)
	if !cfg.Feed.Off {
		s.feed = revocation.New(revocation.Config{
			Store: cfg.Store, Grants: grants, Tenants: tree,
			Poll: cfg.Feed.Poll, Retention: cfg.Feed.Retention, Now: cfg.Now, Log: cfg.Log,
		})
	}
	s.Users = &users.Service{Store: cfg.Store, Checker: s.Checker, Revoke: grants.Revoke}
	s.tokens = tokens.New(tokens.Config{
		Store: cfg.Store, Grants: grants, ACLs: acls, Tenants: tree, Throttle: slow,
		Now: cfg.Now, XiVOUUID: cfg.XiVOUUID, Location: cfg.Location,
	}, tokens.Settings{})
	routes := tokens.HTTP{Service: s.tokens, ClientAddr: cfg.ClientAddr}.Routes()
	routes = append(routes, sessions.HTTP{Store: cfg.Store, Revoke: grants.Revoke}.Routes()...)
	routes = append(routes, groups.HTTP{Store: cfg.Store, Random: slug.Any}.Routes()...)
	routes = append(routes, tenants.HTTP{
		Store: cfg.Store, Tree: tree, Revoke: grants.Revoke, Random: slug.Any, Log: cfg.Log,
		ValidMethod: func(name string) bool { return s.Methods().Has(name) },
		Defaults:    s.defaults.Load,
	}.Routes()...)
	routes = append(routes, users.HTTP{Service: s.Users, Groups: cfg.Store, Methods: s.Methods, Throttle: slow, ClientAddr: cfg.ClientAddr}.Routes()...)
	routes = append(routes, policies.HTTP{Store: cfg.Store, Random: slug.Any}.Routes()...)
	routes = append(routes, idp.HTTP{Store: cfg.Store, Methods: s.Methods}.Routes()...)
	routes = append(routes, ldap.HTTP{Store: cfg.Store}.Routes()...)
	routes = append(routes, config.HTTP{Settings: func() map[string]any { return *s.config.Load() }, Switches: switches}.Routes()...)
	routes = append(routes, backends.Route(s.backends.Load), assertion.Route(s.signer.Load), httpapi.Status(), Document())
	s.mux = httpapi.NewMux(cfg.Log, cfg.Now, httpapi.Access{Grants: grants, Tenants: tree}, routes...)
	s.Apply(set)
	return s, nil
}

// Document serves the OpenAPI document of the API. It is put together once, and
// the same for every service of a process.
var Document = sync.OnceValue(func() httpapi.Route {
	return httpapi.Document(config.Document, groups.Document, idp.Document, ldap.Document, policies.Document, tenants.Document, users.Document)
})

// Apply puts other settings in force. Cached grants, connections and requests
// under way are not touched.
func (s *Service) Apply(set Settings) {
	if set.TokenLifetime < time.Second {
		set.TokenLifetime = 2 * time.Hour
	}
	if set.MaxUserSessions == 0 {
		set.MaxUserSessions = 100
	}
	if set.CleanupInterval == 0 {
		set.CleanupInterval = time.Minute
	}
	if set.CleanupBatch <= 0 {
		set.CleanupBatch = 5000
	}
	if set.Backends == nil {
		set.Backends = func(s *Service) *backends.Set {
			return backends.NewSet(&backends.WazoUser{Users: s.Store, Checker: s.Checker})
		}
	}
	if set.Providers == nil {
		set.Providers = idp.Providers
	}
	methods := idp.NewMethods(set.Providers)
	s.methods.Store(&methods)
	if set.Assertion == nil {
		set.Assertion = s.keyless
	}
	s.signer.Store(s.signer.Load().Next(set.Assertion))
	s.defaults.Store(set.Defaults)
	bs := set.Backends(s)
	s.backends.Store(bs)
	shown := s.shown(set, bs)
	s.config.Store(&shown)
	s.grants.SetLimits(set.Cache)
	s.tokens.Apply(tokens.Settings{
		Lifetime:          set.TokenLifetime,
		DefaultUserPolicy: set.DefaultUserPolicy,
		BackendPolicies:   set.BackendPolicies,
		MaxSessions:       max(0, set.MaxUserSessions),
		AdminStatus:       set.AdminStatus,
		Backends:          bs,
	})
	api := set.CORS.Wrap(s.mux)
	s.api.Store(&api)
	s.runJanitor(tokens.Janitor{
		Store: s.Store, Now: s.cfg.Now, StoreClock: s.cfg.StoreClock, Log: s.cfg.Log,
		Interval: set.CleanupInterval, Batch: set.CleanupBatch,
	})
}

// StartFeed begins to listen for revocations made elsewhere, which installs
// what is needed for that in the database. Starting again does nothing.
func (s *Service) StartFeed() {
	if s.feed == nil {
		return
	}
	s.feedOnce.Do(func() {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		s.stopFeed = func() { cancel(); <-done }
		go func() {
			defer close(done)
			s.feed.Run(ctx)
		}()
	})
}

// FeedStatus tells how the feed is; false when it is off.
func (s *Service) FeedStatus() (status revocation.Status, on bool) {
	if s.feed == nil {
		return status, false
	}
	return s.feed.Status(), true
}

// ServeHTTP serves the API.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.foreign.Load() {
		httpapi.WriteUnavailable(w)
		return
	}
	(*s.api.Load()).ServeHTTP(w, r)
}

// Routes lists what the API serves.
func (s *Service) Routes() []httpapi.Route { return s.mux.Routes() }

// Methods are the authentication methods of users and tenants.
func (s *Service) Methods() idp.Methods { return *s.methods.Load() }

// Now is the service's clock.
func (s *Service) Now() time.Time { return s.cfg.Now() }

// CacheStats counts lookups since the service was made.
func (s *Service) CacheStats() cache.Stats { return s.grants.Stats() }

// runJanitor replaces the running janitor.
func (s *Service) runJanitor(j tokens.Janitor) {
	s.janitor.Lock()
	defer s.janitor.Unlock()
	if s.janitor.closed {
		return
	}
	if s.janitor.stop != nil {
		s.janitor.stop()
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		j.Run(ctx)
	}()
	s.janitor.Janitor, s.janitor.stop = j, func() { cancel(); <-done }
}

// PurgeExpired removes the tokens that have expired by now, without waiting
// for the next time that is due, and returns how many those were.
func (s *Service) PurgeExpired(ctx context.Context) (int, error) {
	s.janitor.Lock()
	j := s.janitor.Janitor
	s.janitor.Unlock()
	return j.Purge(ctx)
}

// Close ends the service's goroutines, then the cache, then the store. No
// request may be inside any more.
func (s *Service) Close() error {
	s.janitor.Lock()
	defer s.janitor.Unlock()
	if s.janitor.closed {
		return nil
	}
	s.janitor.closed = true
	s.janitor.stop()
	s.feedOnce.Do(func() {}) // nobody starts it any more
	if s.stopFeed != nil {
		s.stopFeed()
	}
	s.switches.SetProfiling(false)
	s.grants.Close()
	if err := s.Store.Close(); err != nil && !errors.Is(err, store.ErrUnavailable) {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

func peerAddr(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
