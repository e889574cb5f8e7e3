package tokens

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

const (
	userID    = "6f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c"
	topTenant = "7f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c"
	subTenant = "8f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c"
	elsewhere = "9f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c"
	stackID   = "af1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c"
)

var errDown = errors.Join(store.ErrUnavailable, errors.New("dial tcp 192.0.2.7:5432: connection refused"))

// memory is a store of tokens. What it does not implement is not to be called.
type memory struct {
	Store
	sync.Mutex
	rows     map[string]store.Token
	sessions map[string]store.Session
	tenant   string // the user's current one, "" when he is gone
	err      error  // of everything
	keeps    bool   // DeleteToken fails and leaves the row
	policy   string // asked for last
	max      int    // sessions allowed, as asked for last
	ended    []store.EndedToken
}

func (m *memory) CreateToken(_ context.Context, s store.Session, row store.Token) error {
	m.Lock()
	defer m.Unlock()
	if m.err != nil {
		return m.err
	}
	m.rows[row.UUID], m.sessions[s.UUID] = row, s
	return nil
}

func (m *memory) Token(_ context.Context, id string) (store.Token, error) {
	m.Lock()
	defer m.Unlock()
	row, ok := m.rows[id]
	switch {
	case m.err != nil:
		return store.Token{}, m.err
	case !ok:
		return store.Token{}, store.ErrNotFound
	}
	row.UserTenant = ""
	if row.AuthID == userID {
		row.UserTenant = m.tenant
	}
	return row, nil
}

func (m *memory) DeleteToken(_ context.Context, id string) (store.EndedToken, error) {
	m.Lock()
	defer m.Unlock()
	switch {
	case m.keeps:
		return store.EndedToken{}, errDown
	case m.err != nil:
		return store.EndedToken{}, m.err
	}
	if _, ok := m.rows[id]; !ok {
		return store.EndedToken{}, store.ErrNotFound
	}
	delete(m.rows, id)
	return store.EndedToken{UUID: id}, nil
}

func (m *memory) IssueToken(ctx context.Context, n store.NewToken) ([]string, error) {
	n.Token.ACL = []string{"confd.users.read", "auth.users.me.#", "!confd.secret"}
	m.policy, m.max = n.BasePolicy, n.MaxSessions
	return n.Token.ACL, m.CreateToken(ctx, n.Session, n.Token)
}

// IssueOfflineToken ends m.ended for the refresh token it makes.
func (m *memory) IssueOfflineToken(ctx context.Context, n store.NewToken, r store.RefreshToken) (store.Offline, error) {
	acl, err := m.IssueToken(ctx, n)
	for _, e := range m.ended {
		delete(m.rows, e.UUID)
	}
	return store.Offline{ACL: acl, RefreshToken: "refresh of " + r.ClientID, Created: true, Ended: m.ended}, err
}

// CredentialsByRefreshToken knows one refresh token of the user.
func (m *memory) CredentialsByRefreshToken(_ context.Context, id, client string) (c store.Credentials, r store.RefreshToken, err error) {
	m.Lock()
	defer m.Unlock()
	if m.err != nil {
		return c, r, m.err
	}
	if id != "good" || client != "mine" {
		return c, r, store.ErrNotFound
	}
	c.User = store.User{UUID: userID, TenantUUID: topTenant, Purpose: store.PurposeUser, Enabled: true}
	c.EffectiveMethod = store.MethodNative
	if m.tenant == subTenant {
		c.EffectiveMethod = "ldap" // moved where directories are used
	}
	return c, r, nil
}

// fakeBackend accepts alice:secret.
type fakeBackend struct {
	name   string
	err    error
	during func() // runs after the user was read, when set
}

func (b *fakeBackend) Name() string { return b.name }

func (b *fakeBackend) Authenticate(_ context.Context, a backends.Attempt) (backends.Identity, error) {
	if b.err != nil {
		return backends.Identity{}, b.err
	}
	if a != (backends.Attempt{Login: "alice", Password: "secret"}) {
		return backends.Identity{}, backends.ErrRefused
	}
	if b.during != nil {
		b.during()
	}
	return backends.Identity{AuthID: userID, PBXUserUUID: userID, TenantUUID: topTenant, Purpose: "user"}, nil
}

// fakeTenants knows topTenant and subTenant below it.
type fakeTenants struct{ err error }

func (f *fakeTenants) Contains(_ context.Context, ancestor, tenant string) (bool, error) {
	return f.err == nil && (ancestor == tenant || ancestor == topTenant && tenant == subTenant), f.err
}

func (f *fakeTenants) Find(_ context.Context, id string) (string, bool, error) {
	return id, id == topTenant || id == subTenant, f.err
}

// fakeThrottle makes a login wait once it has failed.
type fakeThrottle struct{ failed map[string]bool }

func (f *fakeThrottle) Wait(login, addr string) time.Duration {
	if f.failed[login+"@"+addr] {
		return 1500 * time.Millisecond
	}
	return 0
}

func (f *fakeThrottle) Failed(login, addr string) { f.failed[login+"@"+addr] = true }

// api is the token resource as it is mounted, over a real cache.
type api struct {
	http.Handler
	store   *memory
	backend *fakeBackend
	tenants *fakeTenants
	service *Service
	cache   *cache.Cache
	at      time.Time
}

func newAPI(t testing.TB) *api {
	t.Helper()
	a := &api{
		store:   &memory{rows: map[string]store.Token{}, sessions: map[string]store.Session{}, tenant: topTenant},
		backend: &fakeBackend{name: backends.Default},
		tenants: &fakeTenants{},
		at:      time.Unix(1_700_000_000, 123_456_789),
	}
	now := func() time.Time { return a.at }
	acls, err := cache.NewACLs(0)
	if err != nil {
		t.Fatal(err)
	}
	a.cache, err = cache.New(Loader{Store: a.store, ACLs: acls}, cache.Config{Grants: 1000, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.cache.Close)
	a.service = New(Config{
		Store: a.store, Grants: a.cache, ACLs: acls, Tenants: a.tenants,
		Now: now, XiVOUUID: stackID, Location: time.FixedZone("", 3600),
		Throttle: &fakeThrottle{map[string]bool{}},
	}, Settings{
		Lifetime: 2 * time.Hour, DefaultUserPolicy: "everybody", MaxSessions: 7,
		BackendPolicies: map[string]string{"other": "others"},
		Backends:        backends.NewSet(a.backend, &fakeBackend{name: "other"}),
	})
	routes := HTTP{Service: a.service, ClientAddr: func(*http.Request) string { return "192.0.2.1" }}.Routes()
	a.Handler = httpapi.CORS{}.Wrap(httpapi.NewMux(slog.New(slog.DiscardHandler), now, httpapi.Access{}, routes...))
	return a
}

// do sends a request and returns the answer; header is name, value, name, value…
func (a *api) do(t testing.TB, method, target, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w
}

// insert stores a token of the user, changed by edit, and returns its uuid.
func (a *api) insert(edit func(*store.Token)) string {
	row := store.Token{
		UUID: "01234567-89ab-4cde-8f01-23456789abcd", AuthID: userID, PBXUserUUID: userID, XiVOUUID: stackID,
		IssuedAt: a.at.Unix() - 60, ExpiresAt: a.at.Unix() + 60,
		Metadata:    grant.Metadata(userID, topTenant, userID, stackID, "user"),
		SessionUUID: "c0ffee00-1234-4abc-8def-0123456789ab", UserAgent: "curl/8", RemoteAddr: "192.0.2.1",
		ACL: []string{"confd.users.read", "auth.users.me.#"},
	}
	if edit != nil {
		edit(&row)
	}
	a.store.rows[row.UUID] = row
	return row.UUID
}
