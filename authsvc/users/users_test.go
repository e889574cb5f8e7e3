package users_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/password"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/authsvc/users"
	"github.com/wazo-edge/xivo-auth/internal/apitest"
)

// newService is the room over an empty database, and what it had revoked.
func newService(t *testing.T) (s *users.Service, db *sqlstore.Store, revoked *[]uuid.UUID) {
	t.Helper()
	db, err := sqlite.Open(filepath.Join(t.TempDir(), "auth.db"), store.Options{Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	revoked = new([]uuid.UUID)
	s = &users.Service{
		Store: db, Checker: &apitest.Remembering{Checker: password.NewChecker(0)},
		Revoke: func(tokens ...uuid.UUID) { *revoked = append(*revoked, tokens...) },
	}
	return s, db, revoked
}

// checks tells whether this login and password are good.
func checks(t *testing.T, s *users.Service, login, pass string) bool {
	t.Helper()
	c, err := s.Store.CredentialsByLogin(t.Context(), login)
	if err != nil {
		return false
	}
	ok, err := s.Checker.Check(t.Context(), pass, c.PasswordHash, c.PasswordSalt)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// TestCreate_Invalid needs no store: nothing is asked or written for an input
// that no account can have.
func TestCreate_Invalid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   users.New
		says string
	}{
		{"no username", users.New{Password: "x"}, "username"},
		{"no password", users.New{Username: "a"}, "password"},
		{"colon", users.New{Username: "a:b", Password: "x"}, "colon"},
		{"long username", users.New{Username: strings.Repeat("é", 257), Password: "x"}, "longer than 256"},
		{"unknown purpose", users.New{Username: "a", Password: "x", Purpose: "robot"}, "robot"},
		{"NUL in a name", users.New{Username: "a", Password: "x", FirstName: "a\x00"}, "NUL"},
		{"username that is no UTF-8", users.New{Username: "a\xff", Password: "x"}, "UTF-8"},
		{"address that is none", users.New{Username: "a", Password: "x", Email: "a@b"}, "a@b"},
		{"address that is no UTF-8", users.New{Username: "a", Password: "x", Email: "\xff"}, "UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := (&users.Service{}).Create(t.Context(), c.in)
			if !errors.Is(err, users.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Create: %v, want it to speak of %q", err, c.says)
			}
		})
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	s, _, _ := newService(t)
	u, err := s.Create(t.Context(), users.New{
		Username: "Alice", Password: "secret", Email: "alice@example.com", FirstName: "A", LastName: "L",
		Policies: []string{users.MasterPolicy},
	})
	if err != nil {
		t.Fatal(err)
	}
	if u.Purpose != store.PurposeUser || u.Method != store.MethodDefault || !u.Enabled || u.TenantUUID == "" || uuid.Validate(u.UUID) != nil {
		t.Errorf("created %+v", u)
	}
	if !checks(t, s, "alice", "secret") || !checks(t, s, "ALICE@example.COM", "secret") || checks(t, s, "alice", "Secret") {
		t.Error("the login does not work as it should")
	}
	acl, err := s.Store.(*sqlstore.Store).UserAccesses(t.Context(), u.UUID, "")
	if err != nil || !slices.Contains(acl, "#") {
		t.Errorf("may access %q: %v", acl, err)
	}

	// Usernames and addresses of all users are one namespace, in any case.
	for _, c := range []struct {
		name string
		in   users.New
	}{
		{"same username", users.New{Username: "alice"}},
		{"same username in another case", users.New{Username: "ALICE"}},
		{"username that is an address", users.New{Username: "Alice@Example.com"}},
		{"same address", users.New{Username: "bob", Email: "ALICE@example.com"}},
	} {
		c.in.Password = "x"
		if _, err := s.Create(t.Context(), c.in); !errors.Is(err, users.ErrExists) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := s.Create(t.Context(), users.New{Username: "bob", Password: "x", Policies: []string{"nobody's"}}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unknown policy: %v", err)
	}
	list, err := s.List(t.Context())
	if err != nil || len(list) != 1 || list[0].UUID != u.UUID {
		t.Errorf("accounts %+v, %v: a refused one was stored", list, err)
	}
}

func TestSetPassword(t *testing.T) {
	t.Parallel()
	s, db, revoked := newService(t)
	ids := map[string]string{}
	for _, name := range []string{"alice", "bob"} {
		u, err := s.Create(t.Context(), users.New{Username: name, Password: "old", Email: name + "@example.com"})
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = u.UUID
	}
	var tokens []uuid.UUID
	for _, owner := range []string{"alice", "alice", "bob"} {
		token, session := uuid.New(), uuid.NewString()
		u, err := db.UserByName(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		err = db.CreateToken(t.Context(), store.Session{UUID: session, TenantUUID: u.TenantUUID},
			store.Token{UUID: token.String(), AuthID: ids[owner], SessionUUID: session, ExpiresAt: 2_000_000_000, ACL: []string{}})
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token)
	}

	ended, err := s.SetPassword(t.Context(), "ALICE@example.com", "new")
	if err != nil || ended != 2 {
		t.Fatalf("SetPassword: %d, %v", ended, err)
	}
	if checks(t, s, "alice", "old") || !checks(t, s, "alice", "new") || !checks(t, s, "bob", "old") {
		t.Error("the wrong passwords are good now")
	}
	if len(*revoked) != 2 || !slices.Contains(*revoked, tokens[0]) || !slices.Contains(*revoked, tokens[1]) {
		t.Errorf("revoked %v, want %v", *revoked, tokens[:2])
	}
	for i, token := range tokens {
		_, err := db.Token(t.Context(), token.String())
		if gone := errors.Is(err, store.ErrNotFound); gone != (i < 2) {
			t.Errorf("token %d: %v", i, err)
		}
	}

	s.Revoke = nil // as on the command line
	if ended, err := s.SetPassword(t.Context(), "bob", "new"); err != nil || ended != 1 {
		t.Errorf("without a cache: %d, %v", ended, err)
	}
	if _, err := s.SetPassword(t.Context(), "nobody", "new"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("unknown login: %v", err)
	}
	if _, err := s.SetPassword(t.Context(), "alice", ""); !errors.Is(err, users.ErrInvalid) {
		t.Errorf("empty password: %v", err)
	}
}

func TestBootstrap(t *testing.T) {
	t.Parallel()
	s, _, _ := newService(t)
	got, err := s.Bootstrap(t.Context(), "admin", "secret")
	if err != nil || got != users.Created {
		t.Fatalf("first: %v, %v", got, err)
	}
	c, err := s.Store.CredentialsByLogin(t.Context(), "admin")
	if err != nil || c.Purpose != store.PurposeInternal || c.EffectiveMethod != store.MethodNative || c.Method != store.MethodNative {
		t.Errorf("the administrator is %+v, %v", c.User, err)
	}
	if got, err := s.Bootstrap(t.Context(), "ADMIN", "secret"); err != nil || got != users.AlreadyThere {
		t.Errorf("again: %v, %v", got, err)
	}
	if _, err := s.Bootstrap(t.Context(), "admin", "other"); !errors.Is(err, users.ErrExists) {
		t.Errorf("with another password: %v", err)
	}
	if !checks(t, s, "admin", "secret") {
		t.Error("bootstrapping changed the account")
	}
	if list, err := s.List(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("accounts %v, %v", list, err)
	}
}

func TestFirstStart(t *testing.T) {
	t.Parallel()
	s, _, _ := newService(t)
	if created, err := s.FirstStart(t.Context(), "admin", "secret"); err != nil || !created {
		t.Fatalf("first: %v, %v", created, err)
	}
	// A database in use gets no other way in, whatever the login.
	for _, login := range []string{"admin", "root"} {
		if created, err := s.FirstStart(t.Context(), login, "other"); err != nil || created {
			t.Errorf("%s: %v, %v", login, created, err)
		}
	}
	if checks(t, s, "root", "other") || checks(t, s, "admin", "other") || !checks(t, s, "admin", "secret") {
		t.Error("a second start changed who gets in")
	}
}

// racing is a store in which another node creates the administrator after this
// one has seen none.
type racing struct {
	users.Store
	err error
}

func (racing) HasUsers(context.Context) (bool, error) { return false, nil }
func (racing) UserByName(context.Context, string) (store.User, error) {
	return store.User{}, store.ErrNotFound
}
func (r racing) CreateUser(context.Context, store.NewUser) (store.User, error) {
	return store.User{}, r.err
}

func TestFirstStart_Races(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		is, want error
	}{
		{"another node was first", store.ErrConflict, nil},
		{"store down", store.ErrUnavailable, store.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			created, err := (&users.Service{Store: racing{err: c.is}, Checker: password.NewChecker(0)}).FirstStart(t.Context(), "admin", "secret")
			if created || !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("%v, %v", created, err)
			}
		})
	}
}

func TestRandomPassword(t *testing.T) {
	t.Parallel()
	a, b := users.RandomPassword(), users.RandomPassword()
	if a == b || len(a) < 26 || strings.ContainsAny(a, ": \t\n") {
		t.Errorf("%q, %q", a, b)
	}
}
