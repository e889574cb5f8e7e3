package postgres_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// scene is a migrated store behind a counter, with a user who is logged in.
type scene struct {
	*sqlstore.Store
	trips   *pgtest.Counter
	tenant  string
	user    store.User
	refresh string // the uuid of his refresh token for "client"
}

func newScene(t *testing.T) *scene {
	t.Helper()
	return sceneAt(t, pgtest.Count(t, pgtest.DSN(t)))
}

func sceneAt(t *testing.T, trips *pgtest.Counter) *scene {
	t.Helper()
	s := &scene{trips: trips}
	s.Store, s.tenant = migrated(t, s.trips.DSN, store.Options{MaxConns: 1, Timeout: time.Minute})
	var err error
	s.user, err = s.CreateUser(t.Context(), store.NewUser{
		User:         store.User{Username: "user", Enabled: true, Purpose: store.PurposeUser},
		PasswordHash: "00", PasswordSalt: []byte{1}, Email: "user@example.org", PolicySlugs: []string{"wazo_default_master_user_policy"},
	})
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.IssueOfflineToken(t.Context(), s.login(), s.offline("client", false))
	if err != nil {
		t.Fatal(err)
	}
	s.refresh = o.RefreshToken
	return s
}

// login is a token as a login asks for it, under the session limit.
func (s *scene) login() store.NewToken {
	return store.NewToken{
		Session:    store.Session{UUID: uuid.NewString(), TenantUUID: s.tenant},
		Token:      store.Token{UUID: uuid.NewString(), AuthID: s.user.UUID, ExpiresAt: 1},
		BasePolicy: "wazo_default_master_user_policy", MaxSessions: 1_000_000,
	}
}

func (s *scene) offline(client string, mobile bool) store.RefreshToken {
	return store.RefreshToken{UUID: uuid.NewString(), ClientID: client, UserUUID: s.user.UUID, Login: "user", CreatedAt: time.Now(), Mobile: mobile}
}

// issued logs in.
func (s *scene) issued(ctx context.Context) (n store.NewToken, err error) {
	n = s.login()
	_, err = s.IssueToken(ctx, n)
	return n, err
}

// TestRoundTrips states what each operation costs. A transaction is two more
// than its statements.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	ctx := t.Context()
	var prepared store.NewToken
	for _, c := range []struct {
		name    string
		want    int
		prepare bool // logs in before, uncounted
		op      func() error
	}{
		{"Token", 1, true, func() error { _, err := s.Token(ctx, prepared.Token.UUID); return err }},
		{"CredentialsByLogin", 1, false, func() error { _, err := s.CredentialsByLogin(ctx, "user@example.org"); return err }},
		{"CredentialsByRefreshToken", 1, false, func() error { _, _, err := s.CredentialsByRefreshToken(ctx, s.refresh, "client"); return err }},
		{"UserAccesses", 1, false, func() error { _, err := s.UserAccesses(ctx, s.user.UUID, "x"); return err }},
		{"UserIsAdmin", 1, false, func() error { _, err := s.UserIsAdmin(ctx, s.user.UUID); return err }},
		{"UserByUUID", 1, false, func() error { _, err := s.UserByUUID(ctx, s.user.UUID); return err }},
		{"TenantTree", 1, false, func() error { _, err := s.TenantTree(ctx); return err }},
		{"CreateToken", 1, false, func() error { _, err := createToken(ctx, s.Store, s.tenant); return err }},
		{"IssueToken", 1, false, func() error { _, err := s.issued(ctx); return err }},
		{"IssueToken/unlimited", 1, false, func() error {
			n := s.login()
			n.MaxSessions, n.RefreshToken = 0, s.refresh
			_, err := s.IssueToken(ctx, n)
			return err
		}},
		{"DeleteToken", 1, true, func() error { _, err := s.DeleteToken(ctx, prepared.Token.UUID); return err }},
		{"DeleteExpiredTokens", 1, true, func() error { _, err := s.DeleteExpiredTokens(ctx, 2, 1); return err }},
		{"DeleteUserSessions", 1, true, func() error { _, err := s.DeleteUserSessions(ctx, s.user.UUID); return err }},
		{"DeleteRefreshToken", 1, false, func() error { _, err := s.DeleteRefreshToken(ctx, s.user.UUID, "client"); return err }},
		{"ListSessions", 2, true, func() error { _, err := s.ListSessions(ctx, store.List{Tenant: s.tenant}); return err }},
		{"ListSessions/nothing", 1, true, func() error { _, err := s.ListSessions(ctx, store.List{Tenant: "x"}); return err }},
		{"CredentialsByUUID", 1, false, func() error { _, err := s.CredentialsByUUID(ctx, s.user.UUID); return err }},
		// The counts, the users, their addresses.
		{"ListAccounts", 3, false, func() error { _, err := s.ListAccounts(ctx, store.List{Tenant: s.tenant}); return err }},
		{"Emails", 1, false, func() error { _, err := s.Emails(ctx, s.user.UUID); return err }},
		// The lock of logins, who has the name, the user.
		{"UpdateUser", 2 + 3, false, func() error { _, err := s.UpdateUser(ctx, s.user); return err }},
		// And what he has.
		{"SetEmails/known", 2 + 5, false, func() error {
			_, err := s.SetEmails(ctx, s.user.UUID, []store.NewEmail{{Address: "user@example.org", Main: true}})
			return err
		}},
		{"SetPassword", 2 + 5, true, func() error {
			_, err := s.SetPassword(ctx, s.user.UUID, store.NewPassword{Hash: "00", Salt: []byte{1}})
			return err
		}},
		{"DeleteSession", 2 + 2, true, func() error { _, err := s.DeleteSession(ctx, prepared.Session.UUID, s.tenant); return err }},
		// The user's lock, the count, the refresh token, the token.
		{"IssueOfflineToken/new", 2 + 4, false, func() error {
			_, err := s.IssueOfflineToken(ctx, s.login(), s.offline("client", false))
			return err
		}},
		{"IssueOfflineToken/known", 2 + 4, false, func() error {
			_, err := s.IssueOfflineToken(ctx, s.login(), s.offline("client", false))
			return err
		}},
		// And what is replaced, its tokens, their sessions, itself.
		{"IssueOfflineToken/replacing", 2 + 8, false, func() error {
			_, err := s.IssueOfflineToken(ctx, s.login(), s.offline("client", true))
			return err
		}},
		// Two locks, the tokens, their sessions, the user.
		{"SetUserEnabled/disabling", 2 + 5, true, func() error { _, err := s.SetUserEnabled(ctx, s.user.UUID, false); return err }},
		{"SetUserEnabled/enabling", 2 + 1, false, func() error { _, err := s.SetUserEnabled(ctx, s.user.UUID, true); return err }},
		{"DeleteUser", 2 + 5, true, func() error { _, err := s.DeleteUser(ctx, s.user.UUID); return err }},
	} {
		if c.prepare {
			var err error
			if prepared, err = s.issued(ctx); err != nil {
				t.Fatal(err)
			}
		}
		s.trips.Take()
		if err := c.op(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if trips := s.trips.Take(); len(trips) != c.want {
			t.Errorf("%s makes %d round trips, want %d:\n%s", c.name, len(trips), c.want, strings.Join(trips, "\n--\n"))
		}
	}
}

// crowd adds rows to the tables that grow.
const crowd = `
insert into auth_user (uuid, username, tenant_uuid, purpose)
select 'user-' || n, 'name-' || n, uuid, 'user' from auth_tenant, generate_series(1, 20000) n;
insert into auth_email (uuid, address, confirmed, main, user_uuid)
select 'mail-' || n, n || '@example.org', true, true, 'user-' || n from generate_series(1, 20000) n;
insert into auth_refresh_token (uuid, client_id, user_uuid, login)
select 'refresh-' || n, 'client', 'user-' || n, 'name-' || n from generate_series(1, 20000) n;
insert into auth_session (uuid, mobile, tenant_uuid)
select 'session-' || n, false, uuid from auth_tenant, generate_series(1, 20000) n;
insert into auth_token (uuid, auth_id, session_uuid, expire_t, refresh_token_uuid)
select 'token-' || n, 'user-' || n, 'session-' || n, n, 'refresh-' || n from generate_series(1, 20000) n;
analyze;`

var seqScan = regexp.MustCompile(`Seq Scan on auth_(token|session|user|email|refresh_token)\b`)

// TestPlans holds the lookups of every request against the plans that the
// server makes for them over many rows.
func TestPlans(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	ctx := t.Context()
	n, err := s.issued(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.DB().ExecContext(ctx, crowd); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		scans []string // tables that are read whole
		args  []any    // what op sends with its statements
		op    func() error
	}{
		{"Token", nil, []any{n.Token.UUID}, func() error { _, err := s.Token(ctx, n.Token.UUID); return err }},
		{"CredentialsByLogin", nil, []any{"user@example.org"}, func() error {
			_, err := s.CredentialsByLogin(ctx, "user@example.org")
			return err
		}},
		{"CredentialsByRefreshToken", nil, []any{s.refresh, "client"}, func() error {
			_, _, err := s.CredentialsByRefreshToken(ctx, s.refresh, "client")
			return err
		}},
		{"UserByUUID", nil, []any{s.user.UUID}, func() error { _, err := s.UserByUUID(ctx, s.user.UUID); return err }},
		// The session limit counts by auth_id, and the historical schema has no
		// index on it.
		{"IssueToken", []string{"token"}, sqlstore.IssueArgs(s.login()), func() error { _, err := s.issued(ctx); return err }},
		{"DeleteToken", nil, []any{n.Token.UUID}, func() error { _, err := s.DeleteToken(ctx, n.Token.UUID); return err }},
		{"DeleteSession", nil, []any{s.tenant, n.Session.UUID}, func() error { _, err := s.DeleteSession(ctx, n.Session.UUID, s.tenant); return err }},
		{"DeleteUserSessions", []string{"token"}, []any{"user-1"}, func() error { _, err := s.DeleteUserSessions(ctx, "user-1"); return err }},
	} {
		s.trips.Take()
		if err := c.op(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		var scans []string
		for _, statement := range s.trips.Take() {
			if !strings.Contains(statement, "$1") { // begin, commit
				continue
			}
			plan := strings.Join(lines(t, s.DB(), "explain "+statement, c.args...), "\n")
			t.Logf("%s:\n%s", c.name, plan)
			for _, m := range seqScan.FindAllStringSubmatch(plan, -1) {
				scans = append(scans, m[1])
			}
		}
		if !slices.Equal(scans, c.scans) {
			t.Errorf("%s reads all of %v, want %v", c.name, scans, c.scans)
		}
	}
	// What that costs at 20 000 tokens, for the record.
	for _, limit := range []int{0, 100} {
		const logins = 20
		start := time.Now()
		for range logins {
			n := s.login()
			n.MaxSessions = limit
			if _, err := s.IssueToken(ctx, n); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("IssueToken with a limit of %d takes %v", limit, time.Since(start)/logins)
	}
}
