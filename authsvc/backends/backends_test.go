package backends_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/password"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

type named string

func (n named) Name() string { return string(n) }
func (named) Authenticate(context.Context, backends.Attempt) (backends.Identity, error) {
	return backends.Identity{}, backends.ErrRefused
}

func TestSet(t *testing.T) {
	t.Parallel()
	full := backends.NewSet(named("wazo_user"), named("xivo_admin"), named("wazo_user"))
	other := backends.NewSet(named("mock"))
	for _, c := range []struct {
		name, asked string
		set         *backends.Set
		want        string // "" is refused
	}{
		{"the default", "wazo_user", full, "wazo_user"},
		{"a historical one that is configured", "xivo_admin", full, "xivo_admin"},
		{"one that is not", "xivo_user", full, "wazo_user"},
		{"another", "xivo_service", full, "wazo_user"},
		{"unknown", "ldap_user", full, ""},
		{"empty", "", full, ""},
		{"another case", "WAZO_USER", full, ""},
		{"historical without the default", "xivo_user", other, ""},
		{"the default is not there", "wazo_user", other, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, err := c.set.Named(c.asked)
			if c.want == "" {
				if !errors.Is(err, backends.ErrRefused) || b != nil {
					t.Errorf("Named(%q) = %v, %v", c.asked, b, err)
				}
			} else if err != nil || b.Name() != c.want {
				t.Errorf("Named(%q) = %v, %v; want %s", c.asked, b, err, c.want)
			}
		})
	}
	if got := full.Names(); !slices.Equal(got, []string{"wazo_user", "xivo_admin"}) {
		t.Errorf("names %q", got)
	}
}

func TestRoute(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		set  *backends.Set
		want string
	}{
		{backends.NewSet(named("b"), named("a")), `{"data":["b","a"]}` + "\n"},
		{backends.NewSet(), `{"data":[]}` + "\n"},
	} {
		w := httptest.NewRecorder()
		err := backends.Route(func() *backends.Set { return c.set }).Handle(w, httptest.NewRequest("GET", "/0.1/backends", nil))
		if err != nil || w.Code != 200 || w.Body.String() != c.want {
			t.Errorf("%d %s, %v; want %s", w.Code, w.Body, err, c.want)
		}
	}
}

// logins is a store of accounts.
type logins struct {
	held  map[string]store.Credentials
	err   error
	asked int
}

func (l *logins) CredentialsByLogin(_ context.Context, login string) (store.Credentials, error) {
	l.asked++
	c, ok := l.held[login]
	if l.err == nil && !ok {
		return c, store.ErrNotFound
	}
	return c, l.err
}

func TestWazoUser(t *testing.T) {
	t.Parallel()
	hash, salt, err := password.Hash("secret")
	if err != nil {
		t.Fatal(err)
	}
	account := func(purpose, method string) store.Credentials {
		return store.Credentials{
			User:            store.User{UUID: "u-" + purpose, TenantUUID: "t", Purpose: purpose},
			EffectiveMethod: method, PasswordHash: hash, PasswordSalt: salt,
		}
	}
	down := errors.New("connection refused")
	for _, c := range []struct {
		name    string
		attempt backends.Attempt
		storeIs error
		want    backends.Identity
		err     error
		asked   int
	}{
		{"a person", backends.Attempt{Login: "alice", Password: "secret"}, nil, backends.Identity{AuthID: "u-user", PBXUserUUID: "u-user", TenantUUID: "t", Purpose: "user", PasswordHash: hash}, nil, 1},
		{"a program", backends.Attempt{Login: "program", Password: "secret"}, nil, backends.Identity{AuthID: "u-internal", TenantUUID: "t", Purpose: "internal", PasswordHash: hash}, nil, 1},
		{"wrong password", backends.Attempt{Login: "alice", Password: "Secret"}, nil, backends.Identity{}, backends.ErrRefused, 1},
		{"unknown login", backends.Attempt{Login: "bob", Password: "secret"}, nil, backends.Identity{}, backends.ErrRefused, 1},
		{"another method", backends.Attempt{Login: "directory", Password: "secret"}, nil, backends.Identity{}, backends.ErrRefused, 1},
		{"no password stored", backends.Attempt{Login: "nopass", Password: "secret"}, nil, backends.Identity{}, backends.ErrRefused, 1},
		{"no login", backends.Attempt{Password: "secret"}, nil, backends.Identity{}, backends.ErrRefused, 0},
		{"no password", backends.Attempt{Login: "alice"}, nil, backends.Identity{}, backends.ErrRefused, 0},
		{"store down", backends.Attempt{Login: "alice", Password: "secret"}, down, backends.Identity{}, down, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := &logins{err: c.storeIs, held: map[string]store.Credentials{
				"alice":     account(store.PurposeUser, store.MethodNative),
				"program":   account(store.PurposeInternal, store.MethodNative),
				"directory": account(store.PurposeUser, "ldap"),
				"nopass":    {User: store.User{UUID: "x"}, EffectiveMethod: store.MethodNative},
			}}
			b := &backends.WazoUser{Users: s, Checker: password.NewChecker(1)}
			got, err := b.Authenticate(t.Context(), c.attempt)
			if got != c.want || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) || s.asked != c.asked {
				t.Errorf("%+v, %v after %d questions; want %+v, %v, %d", got, err, s.asked, c.want, c.err, c.asked)
			}
			if c.storeIs != nil && errors.Is(err, backends.ErrRefused) {
				t.Error("an outage was taken for a refusal")
			}
		})
	}
}

// busy is a checker whose queue is full.
type busy struct{}

func (busy) Full(context.Context) bool { return true }

func (busy) Check(context.Context, string, string, []byte) (bool, error) {
	return false, password.ErrBusy
}

// TestWazoUser_Busy: a storm of logins does not cost a query each.
func TestWazoUser_Busy(t *testing.T) {
	t.Parallel()
	s := &logins{}
	b := &backends.WazoUser{Users: s, Checker: busy{}}
	if _, err := b.Authenticate(t.Context(), backends.Attempt{Login: "alice", Password: "secret"}); !errors.Is(err, backends.ErrBusy) || s.asked != 0 {
		t.Errorf("%v after %d questions", err, s.asked)
	}
}
