// Package storetest is the contract of store.Store as tests. Every store's
// test calls [Run]; a method of the interface without a case fails it.
package storetest

import (
	"context"
	"database/sql"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// slack is how long after its context a call may take to return, on a busy
// machine. Without honouring the context a call takes [patience].
const (
	slack    = 5 * time.Second
	patience = time.Minute
)

// Fixture is a store on a database of its own, and the means to put rows into
// it that the interface cannot make.
type Fixture struct {
	Store store.Store
	// DB reaches the same database. Statements are written the Postgres way
	// and go through Rebind first.
	DB     *sql.DB
	Rebind func(query string) string
	// Reopen opens another store on the same database, which the suite
	// closes.
	Reopen func(o store.Options) (Fixture, error)
}

// Opener returns a store on a new database without any table, opened with
// the options and closed when the test ends.
type Opener func(t testing.TB, o store.Options) Fixture

// Run runs the whole suite. Its tests run in parallel, each on a new
// database.
func Run(t *testing.T, open Opener) {
	for _, group := range []map[string]func(*testing.T, *bench){
		schemaCases, tokenCases, purgeCases, userCases, createCases, accessCases, faultCases, concurrencyCases,
		loginCases, refreshCases, listCases, accountCases, directoryCases, groupCases, policyCases, methodCases, ldapCases, defaultCases, tenantCases, tenantReadCases,
		tenantAtOnceCases, indexCases, logCases,
	} {
		for name, test := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, newBench(t, open, !strings.HasPrefix(name, "Schema/")))
			})
		}
	}
	t.Run("EveryMethodHasACase", everyMethodHasACase)
}

// everyMethodHasACase holds the table of calls in faults.go against the
// interface.
func everyMethodHasACase(t *testing.T) {
	t.Parallel()
	have := map[string]bool{"Close": true, "Listen": true} // which has cases of its own
	for _, c := range calls {
		have[c.method] = true
	}
	methods := reflect.TypeFor[store.Store]()
	for m := range methods.Methods() {
		if !have[m.Name] {
			t.Errorf("store.Store has a method %s that storetest does not call", m.Name)
		}
	}
}

// bench is one test's workbench: a store, usually migrated, and helpers that
// fail the test instead of returning errors.
type bench struct {
	t testing.TB
	store.Store
	Fixture
	top string // the top tenant, "" when not migrated
}

func newBench(t testing.TB, open Opener, migrated bool) *bench {
	t.Helper()
	f := open(t, store.Options{MaxConns: 8, Timeout: patience})
	b := &bench{t: t, Store: f.Store, Fixture: f}
	if migrated {
		if _, err := f.Store.Migrate(t.Context()); err != nil {
			t.Fatalf("Migrate: %v", err)
		}
		b.top = b.text(`select uuid from auth_tenant where uuid = parent_uuid`)
	}
	return b
}

// reopen opens another store on the same database.
func (b *bench) reopen(o store.Options) Fixture {
	b.t.Helper()
	f, err := b.Reopen(o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = f.Store.Close() })
	return f
}

func (b *bench) exec(query string, args ...any) {
	b.t.Helper()
	if _, err := b.DB.ExecContext(b.t.Context(), b.Rebind(query), args...); err != nil {
		b.t.Fatalf("%s: %v", query, err)
	}
}

// text returns the single value of a query.
func (b *bench) text(query string, args ...any) string {
	b.t.Helper()
	var v string
	if err := b.DB.QueryRowContext(b.t.Context(), b.Rebind(query), args...).Scan(&v); err != nil {
		b.t.Fatalf("%s: %v", query, err)
	}
	return v
}

func (b *bench) count(query string, args ...any) int {
	b.t.Helper()
	var n int
	if err := b.DB.QueryRowContext(b.t.Context(), b.Rebind(query), args...).Scan(&n); err != nil {
		b.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// tenant makes a tenant below parent, with its all-users group.
func (b *bench) tenant(slug, parent string) string {
	b.t.Helper()
	id := newID()
	b.exec(`insert into auth_tenant (uuid, slug, parent_uuid) values ($1, $2, $3)`, id, slug, parent)
	b.group(id, "wazo-all-users-tenant-"+id)
	return id
}

func (b *bench) group(tenant, name string) string {
	b.t.Helper()
	id := newID()
	b.exec(`insert into auth_group (uuid, name, slug, tenant_uuid) values ($1, $2, $3, $4)`, id, name, name, tenant)
	return id
}

// policy makes a policy with accesses, named and slugged alike.
func (b *bench) policy(tenant, name string, accesses ...string) string {
	b.t.Helper()
	id := newID()
	b.exec(`insert into auth_policy (uuid, name, slug, tenant_uuid) values ($1, $2, $3, $4)`, id, name, name, tenant)
	for _, access := range accesses {
		b.exec(`insert into auth_access (access) values ($1) on conflict do nothing`, access)
		b.exec(`insert into auth_policy_access (policy_uuid, access_id)
select $1, id from auth_access where access = $2`, id, access)
	}
	return id
}

// user makes an enabled user through the store.
func (b *bench) user(username, email string) store.User {
	b.t.Helper()
	u, err := b.CreateUser(b.t.Context(), store.NewUser{
		User:  store.User{Username: username, Enabled: true, Purpose: store.PurposeUser},
		Email: email,
	})
	if err != nil {
		b.t.Fatalf("CreateUser(%q, %q): %v", username, email, err)
	}
	return u
}

// token makes a session with one token through the store.
func (b *bench) token(authID string, expires int64) store.Token {
	b.t.Helper()
	t := store.Token{UUID: newID(), AuthID: authID, ExpiresAt: expires, SessionUUID: newID(), ACL: []string{}}
	if err := b.CreateToken(b.t.Context(), store.Session{UUID: t.SessionUUID, TenantUUID: b.top}, t); err != nil {
		b.t.Fatalf("CreateToken: %v", err)
	}
	return t
}

// sibling adds a second token to t's session, which nothing but a hand can.
func (b *bench) sibling(t store.Token, authID string, expires int64) store.Token {
	b.t.Helper()
	id := newID()
	b.exec(`insert into auth_token (uuid, auth_id, session_uuid, expire_t) values ($1, $2, $3, $4)`,
		id, authID, t.SessionUUID, expires)
	t.UUID, t.AuthID, t.ExpiresAt = id, authID, expires
	return t
}

func (b *bench) hasSession(uuid string) bool {
	b.t.Helper()
	return b.count(`select count(*) from auth_session where uuid = $1`, uuid) == 1
}

func (b *bench) hasToken(uuid string) bool {
	b.t.Helper()
	return b.count(`select count(*) from auth_token where uuid = $1`, uuid) == 1
}

func newID() string { return uuid.NewString() }

// want fails the test unless err wraps every one of targets.
func want(t testing.TB, what string, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("%s: got error %v, want %v", what, err, target)
		}
	}
}

// conflict fails the test unless err tells that field is taken.
func conflict(t testing.TB, what string, err error, field string) {
	t.Helper()
	var taken *store.ConflictError
	if !errors.As(err, &taken) || taken.Field != field {
		t.Errorf("%s: got error %v, want that the %s is taken", what, err, field)
	}
}

// must fails the test at once when err is not nil.
func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func equal[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// promptly runs f, which must return soon after ctx is done.
func promptly(ctx context.Context, t testing.TB, what string, f func() error) error {
	t.Helper()
	err := f()
	if deadline, ok := ctx.Deadline(); ok && time.Since(deadline) > slack {
		t.Errorf("%s: returned %v after its deadline", what, time.Since(deadline))
	}
	return err
}

func uuidsOf(ended []store.EndedToken) []string {
	ids := make([]string, len(ended))
	for i, e := range ended {
		ids[i] = e.UUID
	}
	return ids
}

func sorted(s ...string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}
