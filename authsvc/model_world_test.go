package authsvc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/password"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/authsvc/users"
	"github.com/wazo-edge/xivo-auth/internal/apitest"
)

const (
	modelLimit    = 5
	modelPassword = "first"
	modelAccess   = "calld.calls.read" // what a token of anybody allows
	modelNoAccess = "confd.users.read" // and what only an administrator's does
	modelPolicy   = "model-user"
	tenYears      = 315_360_000
)

// modelOptions opens stores that wait rather than fail on a busy machine.
var modelOptions = store.Options{Timeout: time.Minute, MaxConns: 8}

// furniture is what stands in the database before a sequence begins.
type furniture struct {
	top, acme, child, other string
	users                   []modelUser // the administrators of top and acme first
}

// furnish makes the schema, four tenants and their users.
func furnish(ctx context.Context, st *sqlstore.Store) (f furniture, err error) {
	if _, err := st.Migrate(ctx); err != nil {
		return f, err
	}
	exec := func(query string, args ...any) {
		if err == nil {
			_, err = st.DB().ExecContext(ctx, st.Rebind(query), args...)
		}
	}
	if err := st.DB().QueryRowContext(ctx, `select uuid from auth_tenant where uuid = parent_uuid`).Scan(&f.top); err != nil {
		return f, err
	}
	tenant := func(name, parent string) string {
		id := uuid.NewString()
		exec(`insert into auth_tenant (uuid, name, slug, parent_uuid) values ($1, $2, $3, $4)`, id, name, name, parent)
		group := "wazo-all-users-tenant-" + id
		exec(`insert into auth_group (uuid, name, slug, tenant_uuid, system_managed) values ($1, $2, $3, $4, true)`, uuid.NewString(), group, group, id)
		return id
	}
	f.acme, f.other = tenant("acme", f.top), tenant("other", f.top)
	f.child = tenant("child", f.acme)
	policy := uuid.NewString()
	exec(`insert into auth_policy (uuid, name, slug, tenant_uuid) values ($1, $2, $3, $4)`, policy, modelPolicy, modelPolicy, f.top)
	for _, access := range []string{"calld.#", "auth.users.me.#"} {
		exec(`insert into auth_access (access) values ($1) on conflict do nothing`, access)
		exec(`insert into auth_policy_access (policy_uuid, access_id) select $1, id from auth_access where access = $2`, policy, access)
	}
	if err != nil {
		return f, err
	}
	for _, u := range []modelUser{
		{name: "root", tenant: f.top, purpose: store.PurposeInternal, admin: true},
		{name: "boss", tenant: f.acme, purpose: store.PurposeInternal, admin: true},
		{name: "alice", tenant: f.acme, purpose: store.PurposeUser},
		{name: "kid", tenant: f.child, purpose: store.PurposeUser},
		{name: "stranger", tenant: f.other, purpose: store.PurposeExternalAPI},
		{name: "robot", tenant: f.acme, purpose: store.PurposeInternal},
	} {
		u.enabled, u.password = true, modelPassword
		if u.uuid, err = createUser(ctx, st, u); err != nil {
			return f, err
		}
		f.users = append(f.users, u)
	}
	return f, nil
}

// modelHash is what modelPassword hashes to.
var modelHash = sync.OnceValues(func() (h struct {
	hash string
	salt []byte
}, err error,
) {
	h.hash, h.salt, err = password.Hash(modelPassword)
	return h, err
})

func createUser(ctx context.Context, st *sqlstore.Store, u modelUser) (string, error) {
	h, err := modelHash()
	if err != nil {
		return "", err
	}
	policy := modelPolicy
	if u.admin {
		policy = users.MasterPolicy
	}
	created, err := st.CreateUser(ctx, store.NewUser{
		User:         store.User{Username: u.name, Enabled: true, TenantUUID: u.tenant, Purpose: u.purpose, Method: store.MethodDefault},
		PasswordHash: h.hash, PasswordSalt: h.salt, PolicySlugs: []string{policy},
	})
	return created.UUID, err
}

// furnished is a SQLite file that furnish was at, to be copied.
var furnished = sync.OnceValues(func() (t struct {
	furniture
	file []byte
}, err error,
) {
	dir, err := os.MkdirTemp("", "xivo-auth-model")
	if err != nil {
		return t, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "auth.db")
	st, err := sqlite.Open(path, modelOptions)
	if err != nil {
		return t, err
	}
	t.furniture, err = furnish(context.Background(), st)
	if err := errors.Join(err, st.Close()); err != nil {
		return t, err
	}
	t.file, err = os.ReadFile(path)
	return t, err
})

// openFurnished opens a copy of it.
func openFurnished(dir string) (*sqlstore.Store, furniture, error) {
	t, err := furnished()
	if err != nil {
		return nil, furniture{}, err
	}
	path := filepath.Join(dir, uuid.NewString()+".db")
	if err := os.WriteFile(path, t.file, 0o600); err != nil {
		return nil, furniture{}, err
	}
	st, err := sqlite.Open(path, modelOptions)
	return st, t.furniture, err
}

// memory is a backend that knows passwords without hashing them. Who exists
// and may log in it asks the store, as the real one does.
type memory struct {
	store     store.Store
	passwords sync.Map // user uuid -> password
}

func (*memory) Name() string { return backends.Default }

func (b *memory) Authenticate(ctx context.Context, a backends.Attempt) (backends.Identity, error) {
	c, err := b.store.CredentialsByLogin(ctx, a.Login)
	if errors.Is(err, store.ErrNotFound) {
		return backends.Identity{}, backends.ErrRefused
	}
	if err != nil {
		return backends.Identity{}, err
	}
	if known, _ := b.passwords.Load(c.UUID); known != a.Password {
		return backends.Identity{}, backends.ErrRefused
	}
	return backends.IdentityOf(c.User), nil
}

// unclosed is a store that outlives the services over it, so that a sequence
// can restart them.
type unclosed struct{ store.Store }

func (unclosed) Close() error { return nil }

// world is a service and the model it is compared with.
type world struct {
	*model
	ctx       context.Context
	st        *sqlstore.Store
	f         furniture
	clock     *apitest.Clock
	svc       *authsvc.Service
	memory    *memory // nil when passwords are hashed
	requests  int
	admin     [2]*modelToken // of root and of boss
	steps     int
	counts    map[string]int
	trace     []string
	stillborn []string // uuids that never were tokens
}

// newWorld starts a service over a furnished store, which it closes in the end.
func newWorld(ctx context.Context, st *sqlstore.Store, f furniture, hashing bool, limit int) (*world, error) {
	w := &world{
		ctx: ctx, st: st, f: f, clock: apitest.NewClock(), counts: map[string]int{},
		stillborn: []string{uuid.NewString()},
		model: &model{limit: limit, parents: map[string]string{
			f.top: f.top, f.acme: f.top, f.child: f.acme, f.other: f.top,
		}},
	}
	w.now = w.clock.Now()
	if !hashing {
		w.memory = &memory{store: st}
	}
	for _, u := range f.users {
		w.users = append(w.users, &u)
		w.remember(&u)
	}
	if err := w.start(); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	for i := range w.admin {
		if err := w.login(attempt{user: w.users[i], password: modelPassword, expiration: tenYears}); err != nil {
			return nil, errors.Join(err, w.close())
		}
		w.admin[i] = w.tokens[i]
	}
	return w, nil
}

func (w *world) remember(u *modelUser) {
	if w.memory != nil {
		w.memory.passwords.Store(u.uuid, u.password)
	}
}

func (w *world) start() (err error) {
	set := authsvc.Settings{CleanupInterval: -1, MaxUserSessions: w.limit}
	if w.memory != nil {
		set.Backends = func(*authsvc.Service) *backends.Set { return backends.NewSet(w.memory) }
	}
	w.svc, err = authsvc.New(authsvc.Config{
		Store: unclosed{w.st}, Now: w.clock.Now, Location: time.UTC,
		Cache: cache.Config{Grants: 1000, LoadTimeout: time.Minute},
	}, set)
	return err
}

func (w *world) close() error { return errors.Join(w.svc.Close(), w.st.Close()) }

// advance moves the clock of both.
func (w *world) advance(d time.Duration) {
	w.clock.Advance(d)
	w.now = w.clock.Now()
}

type header struct{ name, value string }

func token(t *modelToken) header { return header{"X-Auth-Token", t.uuid} }

// request has the service answer one. Each comes from an address of its own,
// so that failed logins are not throttled.
func (w *world) request(method, path, body string, headers ...header) *httptest.ResponseRecorder {
	w.requests++
	return serveOne(w.ctx, w.svc, method, path, body, address(w.requests), headers...)
}

func address(n int) string { return fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255) }

func serveOne(ctx context.Context, h http.Handler, method, path, body, addr string, headers ...header) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	r.RemoteAddr = addr + ":4711"
	r.Header.Set("User-Agent", "model")
	for _, h := range headers {
		r.Header.Set(h.name, h.value)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

// attempt is one POST /token.
type attempt struct {
	user       *modelUser
	password   string
	refresh    *modelRefresh // instead of user and password
	client     string
	offline    bool
	mobile     bool
	expiration int64
}

func (a attempt) request() (body string, headers []header) {
	form := map[string]any{}
	if a.expiration != 0 {
		form["expiration"] = a.expiration
	}
	if a.client != "" {
		form["client_id"] = a.client
	}
	if a.offline {
		form["access_type"] = "offline"
	}
	if a.refresh != nil {
		form["refresh_token"] = a.refresh.uuid
	} else {
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(a.user.name, a.password)
		headers = append(headers, header{"Authorization", r.Header.Get("Authorization")})
	}
	if a.mobile {
		headers = append(headers, header{"Wazo-Session-Type", "Mobile"})
	}
	b, _ := json.Marshal(form)
	return string(b), headers
}

// tokenData is how the API spells a token.
type tokenData struct {
	Token        string         `json:"token"`
	AuthID       string         `json:"auth_id"`
	UserUUID     *string        `json:"xivo_user_uuid"`
	SessionUUID  string         `json:"session_uuid"`
	UTCIssuedAt  string         `json:"utc_issued_at"`
	UTCExpiresAt string         `json:"utc_expires_at"`
	RemoteAddr   string         `json:"remote_addr"`
	UserAgent    string         `json:"user_agent"`
	Metadata     map[string]any `json:"metadata"`
	RefreshToken *string        `json:"refresh_token"`
}

func readToken(rec *httptest.ResponseRecorder) (tokenData, error) {
	var envelope struct{ Data tokenData }
	err := json.Unmarshal(rec.Body.Bytes(), &envelope)
	return envelope.Data, err
}

// outcome is what the model says of an attempt.
func (m *model) outcome(a attempt) (u *modelUser, status int) {
	if a.refresh != nil {
		u = a.refresh.user
		if a.refresh.gone || a.refresh.client != a.client {
			return u, 401
		}
	} else if u = a.user; u.password != a.password {
		return u, 401
	}
	return u, m.admits(u)
}

// login makes an attempt, compares what it got with what it should have, and
// has the model follow.
func (w *world) login(a attempt) error {
	u, want := w.outcome(a)
	body, headers := a.request()
	rec := w.request("POST", "/0.1/token", body, headers...)
	w.counts[fmt.Sprintf("login %d", want)]++
	if rec.Code != want {
		return fmt.Errorf("login: %d %s, want %d", rec.Code, rec.Body, want)
	}
	if want != 200 {
		says := `{"reason": ["Authentication Failed"], "timestamp": [`
		if want == 429 {
			says = `{"reason": ["User ` + u.uuid + ` has exceeded the maximum number of active sessions"], "timestamp": [`
		}
		if !strings.HasPrefix(rec.Body.String(), says) {
			return fmt.Errorf("login refused with %s, want %s…", rec.Body, says)
		}
		return nil
	}
	got, err := readToken(rec)
	if err != nil {
		return fmt.Errorf("login: %w in %s", err, rec.Body)
	}
	lifetime := a.expiration
	if lifetime == 0 {
		lifetime = 7200
	}
	t := &modelToken{
		uuid: got.Token, session: got.SessionUUID, addr: address(w.requests), user: u, tenant: u.tenant,
		issued: w.now.Unix(), expires: w.now.Unix() + lifetime, mobile: a.mobile, refresh: a.refresh,
	}
	revoked := 0
	if a.offline {
		if a.mobile {
			refresh, tokens := w.replaced(u, a.client)
			revoked = len(tokens)
			end(tokens)
			for _, r := range refresh {
				w.forget(r)
			}
			w.counts["sessions revoked by a mobile"] += revoked
		}
		if got.RefreshToken == nil {
			return errors.New("an offline login got no refresh token")
		}
		if t.refresh = w.refreshOf(u, a.client); t.refresh == nil {
			t.refresh = &modelRefresh{
				uuid: *got.RefreshToken, client: a.client, user: u, mobile: a.mobile, created: w.now.Truncate(time.Microsecond),
			}
			for _, r := range w.refresh {
				if r.uuid == *got.RefreshToken {
					return errors.New("a refresh token that is gone was given out again")
				}
			}
			w.refresh = append(w.refresh, t.refresh)
		}
		if *got.RefreshToken != t.refresh.uuid {
			return fmt.Errorf("an offline login got refresh token %s, want %s", *got.RefreshToken, t.refresh.uuid)
		}
	} else if got.RefreshToken != nil {
		return errors.New("an online login got a refresh token")
	}
	for _, other := range w.tokens {
		if other.uuid == t.uuid || other.session == t.session {
			return errors.New("a token or session uuid was given out twice")
		}
	}
	w.tokens = append(w.tokens, t)
	if header := rec.Header().Get("Wazo-Sessions-Revoked"); header != fmt.Sprint(revoked) {
		return fmt.Errorf("Wazo-Sessions-Revoked: %q, want %d", header, revoked)
	}
	at := w.now.UTC().Truncate(time.Microsecond)
	return t.matches(got, at, at.Add(time.Duration(lifetime)*time.Second))
}

// matches compares what the API says of a token with what it is.
func (t *modelToken) matches(got tokenData, issued, expires time.Time) error {
	const layout = "2006-01-02T15:04:05.000000"
	want := tokenData{
		Token: t.uuid, AuthID: "wazo-auth", SessionUUID: t.session, RemoteAddr: t.addr, UserAgent: "model",
		UTCIssuedAt: issued.UTC().Format(layout), UTCExpiresAt: expires.UTC().Format(layout),
	}
	tenant := any(nil)
	if t.user != nil {
		want.AuthID, tenant = t.user.uuid, t.tenant
		if (got.UserUUID != nil) != (t.user.purpose == store.PurposeUser) || got.UserUUID != nil && *got.UserUUID != want.AuthID {
			return fmt.Errorf("token %s is of the wrong xivo_user_uuid", t.uuid)
		}
	}
	if got.Metadata["tenant_uuid"] != tenant {
		return fmt.Errorf("token %s has metadata %v", t.uuid, got.Metadata)
	}
	got.Metadata, got.UserUUID, got.RefreshToken = nil, nil, nil
	if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
		return fmt.Errorf("token data %s, want %s", g, w)
	}
	return nil
}

// internal stores a token as the service issues them to itself.
func (w *world) internal(lifetime int64) error {
	t := &modelToken{
		uuid: uuid.NewString(), session: uuid.NewString(), tenant: w.f.top,
		issued: w.now.Unix(), expires: w.now.Unix() + lifetime,
	}
	w.tokens = append(w.tokens, t)
	return w.st.CreateToken(w.ctx, store.Session{UUID: t.session, TenantUUID: t.tenant}, store.Token{
		UUID: t.uuid, AuthID: "wazo-auth", IssuedAt: t.issued, ExpiresAt: t.expires, Metadata: "{}",
		SessionUUID: t.session, UserAgent: "model", ACL: []string{"calld.#"},
	})
}

// sqliteWorld is a world in a directory of the test's.
func sqliteWorld(t testing.TB, hashing bool, limit int) (*world, error) {
	st, f, err := openFurnished(t.TempDir())
	if err != nil {
		return nil, err
	}
	return newWorld(t.Context(), st, f, hashing, limit)
}
