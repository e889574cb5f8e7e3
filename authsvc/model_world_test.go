package authsvc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/internal/apitest"
)

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
	who := backends.IdentityOf(c.User)
	who.PasswordHash = c.PasswordHash
	return who, nil
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
	wrap      func(store.Store) store.Store
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
	st := store.Store(unclosed{w.st})
	if w.wrap != nil {
		st = w.wrap(st)
	}
	w.svc, err = authsvc.New(authsvc.Config{
		Store: st, Now: w.clock.Now, Location: time.UTC,
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
		text := `{"reason": ["Authentication Failed"], "timestamp": [`
		if want == 429 {
			text = `{"reason": ["User ` + u.uuid + ` has exceeded the maximum number of active sessions"], "timestamp": [`
		}
		return says(rec, text)
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
