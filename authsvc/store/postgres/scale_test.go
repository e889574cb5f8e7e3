package postgres_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// scaled is the database of testdata/scale.sql with our indexes.
type scaled struct {
	*sqlstore.Store
	sent *postgres.Recorder
}

func newScaled(t testing.TB) scaled {
	t.Helper()
	if testing.Short() {
		t.Skip("fills a database with 100 000 users")
	}
	s, sent, err := postgres.OpenRecorded(pgtest.DSN(t), store.Options{MaxConns: 4, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	ctx := t.Context()
	if _, err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := s.InstallIndexes(ctx); err != nil {
		t.Fatal(err)
	}
	rows, err := os.ReadFile("testdata/scale.sql")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.DB().ExecContext(ctx, string(rows)); err != nil {
		t.Fatal(err)
	}
	return scaled{s, sent}
}

// nth is the key of a row in testdata/scale.sql.
func nth(kind, n int) string { return fmt.Sprintf("%d0000000-0000-4000-8000-%012d", kind, n) }

const (
	groups   = 2
	policies = 3
	refresh  = 5

	leaf  = 901  // a tenant six deep with none below it
	large = 2    // the tenant with 10 000 users
	user  = 4901 // of that tenant, in three ways a holder of policies
)

// node is a node of a plan as Postgres prints it.
type node struct {
	Type      string  `json:"Node Type"`
	Relation  string  `json:"Relation Name"`
	IndexCond string  `json:"Index Cond"`
	Rows      float64 `json:"Plan Rows"`
	Plans     []node  `json:"Plans"`
}

// grows are the tables that a plan must not read whole.
var grows = []string{
	"auth_user", "auth_email", "auth_token", "auth_session", "auth_refresh_token",
	"auth_group", "auth_policy", "auth_user_group", "auth_user_policy", "auth_group_policy", "auth_policy_access",
}

// whole returns the tables that a plan reads from one end to the other, by the
// table or by an index.
func (n node) whole() (tables []string) {
	all := n.Type == "Seq Scan" || strings.HasPrefix(n.Type, "Index") && n.IndexCond == ""
	if all && slices.Contains(grows, n.Relation) {
		tables = append(tables, n.Relation)
	}
	for _, p := range n.Plans {
		tables = append(tables, p.whole()...)
	}
	return tables
}

// plan asks the server how it would run a statement.
func (s scaled) plan(t testing.TB, st postgres.Statement) (n node, text string) {
	t.Helper()
	if err := s.DB().QueryRowContext(t.Context(), "explain (format json) "+st.Query, st.Args...).Scan(&text); err != nil {
		t.Fatalf("explain %s: %v", st.Query, err)
	}
	s.sent.Take()
	var plans []struct{ Plan node }
	if err := json.Unmarshal([]byte(text), &plans); err != nil || len(plans) != 1 {
		t.Fatalf("%s: %v", text, err)
	}
	return plans[0].Plan, text
}

// explained are the statements that have a plan.
func explained(sent []postgres.Statement) []postgres.Statement {
	return slices.DeleteFunc(sent, func(st postgres.Statement) bool {
		return !slices.Contains([]string{"select", "with", "insert", "update", "delete"}, strings.Fields(st.Query)[0])
	})
}

// TestPlansAtScale holds the statements of the hot calls against the plans
// that the server makes for them in a large stack: none reads a table whole of
// which it returns a part.
func TestPlansAtScale(t *testing.T) {
	t.Parallel()
	s := newScaled(t)
	ctx := t.Context()
	limit := int64(20)
	of := func(tenant int, filters map[string]any) store.List {
		return store.List{Tenant: nth(tenants, tenant), Limit: &limit, Filters: filters}
	}
	below := func(tenant int) store.List {
		l := of(tenant, nil)
		l.Recurse = true
		return l
	}
	type call struct {
		name string
		op   func() error
	}
	calls := []call{
		{"Token", func() error { _, err := s.Token(ctx, nth(token, 1)); return err }},
		{"CredentialsByLogin/username", func() error { _, err := s.CredentialsByLogin(ctx, "user-77"); return err }},
		{"CredentialsByLogin/address", func() error { _, err := s.CredentialsByLogin(ctx, "user-77@example.org"); return err }},
		{"CredentialsByRefreshToken", func() error { _, _, err := s.CredentialsByRefreshToken(ctx, nth(refresh, 7), "client"); return err }},
		{"UserByName", func() error { _, err := s.UserByName(ctx, "user-77@example.org"); return err }},
		{"UserByUUID", func() error { _, err := s.UserByUUID(ctx, nth(users, user)); return err }},
		{"UserAccesses", func() error { _, err := s.UserAccesses(ctx, nth(users, user), "policy-1"); return err }},
		{"UserIsAdmin", func() error { _, err := s.UserIsAdmin(ctx, nth(users, user)); return err }},
		{"IssueToken", func() error {
			_, err := s.IssueToken(ctx, store.NewToken{
				Session:     store.Session{UUID: uuid.NewString(), TenantUUID: nth(tenants, leaf)},
				Token:       store.Token{UUID: uuid.NewString(), AuthID: nth(users, user), ExpiresAt: 99999},
				MaxSessions: 100, BasePolicy: "policy-1",
			})
			return err
		}},
		{"DeleteToken", func() error { _, err := s.DeleteToken(ctx, nth(token, 2)); return err }},
		{"DeleteUserSessions", func() error { _, err := s.DeleteUserSessions(ctx, nth(users, 3)); return err }},
		{"DeleteSession", func() error { _, err := s.DeleteSession(ctx, nth(session, 4), nth(tenants, 5)); return err }},
		{"DeleteExpiredTokens", func() error { _, err := s.DeleteExpiredTokens(ctx, 1050, 20); return err }},
		{"SetUserEnabled", func() error { _, err := s.SetUserEnabled(ctx, nth(users, user), false); return err }},
		{"UpdateUser", func() error {
			u, err := s.UserByUUID(ctx, nth(users, user))
			if err == nil {
				u.Username = "renamed"
				_, err = s.UpdateUser(ctx, u)
			}
			return err
		}},
		{"SetEmails", func() error {
			_, err := s.SetEmails(ctx, nth(users, user), []store.NewEmail{{Address: "renamed@example.org", Main: true}})
			return err
		}},
		{"ListSessions", func() error { _, err := s.ListSessions(ctx, of(leaf, nil)); return err }},
		{"ListRefreshTokens/user", func() error {
			_, err := s.ListRefreshTokens(ctx, store.List{Everywhere: true, User: nth(users, 7)})
			return err
		}},
		{"ListAccounts/tenant", func() error { _, err := s.ListAccounts(ctx, of(leaf, nil)); return err }},
		{"ListAccounts/below a leaf", func() error { _, err := s.ListAccounts(ctx, below(leaf)); return err }},
		{"ListAccounts/of a group", func() error {
			_, err := s.ListAccounts(ctx, store.List{Everywhere: true, Group: nth(groups, 1002)})
			return err
		}},
		{"ListGroups/tenant", func() error { _, err := s.ListGroups(ctx, of(leaf, nil)); return err }},
		{"ListGroups/of a user", func() error {
			_, err := s.ListGroups(ctx, store.List{Everywhere: true, User: nth(users, user)})
			return err
		}},
		{"ListGroups/policy_slug", func() error {
			_, err := s.ListGroups(ctx, of(leaf, map[string]any{"policy_slug": "policy-1500"}))
			return err
		}},
		{"ListPolicies/tenant", func() error { _, err := s.ListPolicies(ctx, of(leaf, nil)); return err }},
		{"ListPolicies/of a user", func() error {
			_, err := s.ListPolicies(ctx, store.List{Everywhere: true, User: nth(users, user)})
			return err
		}},
		{"ListPolicies/of a group", func() error {
			_, err := s.ListPolicies(ctx, store.List{Everywhere: true, Group: nth(groups, 1002)})
			return err
		}},
		{"PolicyByUUID", func() error { _, err := s.PolicyByUUID(ctx, nth(tenants, leaf), nth(policies, leaf)); return err }},
		{"PolicyBySlug", func() error { _, err := s.PolicyBySlug(ctx, nth(tenants, leaf), "policy-56"); return err }},
		{"CreatePolicy", func() error {
			_, err := s.CreatePolicy(ctx, store.NewPolicy{
				TenantUUID: nth(tenants, leaf), Name: "new", Slugs: []string{"new"}, ACL: []string{"service1.resource1.read"},
			})
			return err
		}},
		{"CreateUser", func() error {
			_, err := s.CreateUser(ctx, store.NewUser{
				User:  store.User{Username: "new", TenantUUID: nth(tenants, leaf), Purpose: store.PurposeUser},
				Email: "new@example.org",
			})
			return err
		}},
		{"ListTenants/below", func() error { _, err := s.ListTenants(ctx, below(50)); return err }},
	}
	for filter, value := range map[string]string{
		"uuid": nth(users, user), "username": "User-4901", "email_address": "User-4901@Example.org",
		"group_uuid": nth(groups, 1002), "policy_uuid": nth(policies, 902), "policy_slug": "policy-902",
		"has_policy_uuid": nth(policies, 902), "has_policy_slug": "policy-902",
	} {
		for _, tenant := range []int{leaf, large} {
			calls = append(calls, call{fmt.Sprintf("ListAccounts/%s in tenant %d", filter, tenant), func() error {
				_, err := s.ListAccounts(ctx, of(tenant, map[string]any{filter: value}))
				return err
			}})
		}
	}
	s.sent.Take()
	for _, c := range calls {
		if err := c.op(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		statements := explained(s.sent.Take())
		if len(statements) == 0 {
			t.Errorf("%s sent no statement", c.name)
		}
		for _, st := range statements {
			n, text := s.plan(t, st)
			whole := n.whole()
			if c.name == "ListPolicies/tenant" {
				// Those that the configuration keeps and that tenants above
				// share are seen, too, and no index tells which they are: of
				// policies there are thousands.
				whole = slices.DeleteFunc(whole, func(table string) bool { return table == "auth_policy" })
			}
			if len(whole) > 0 {
				t.Errorf("%s reads all of %v: %s\n%v\n%s", c.name, whole, st.Query, st.Args, text)
			}
		}
	}
}

// TestCascadesAtScale deletes for good, where foreign keys make the server run
// statements that no plan shows, and holds against it what the server counted.
func TestCascadesAtScale(t *testing.T) {
	t.Parallel()
	s := newScaled(t)
	ctx := t.Context()
	policy := postgres.Statement{Query: `delete from auth_policy where uuid = $1`, Args: []any{nth(policies, 902)}}
	for _, c := range []struct {
		name string
		st   postgres.Statement
		op   func() error
	}{
		{"DeleteUser", postgres.Statement{Query: `delete from auth_user where uuid = $1`, Args: []any{nth(users, user)}}, func() error {
			_, err := s.DeleteUser(ctx, nth(users, user))
			return err
		}},
		{"DeleteGroup", postgres.Statement{Query: `delete from auth_group where uuid = $1`, Args: []any{nth(groups, 1002)}}, func() error {
			return s.DeleteGroup(ctx, nth(groups, 1002))
		}},
		{"DeletePolicy", policy, func() error {
			return s.DeletePolicy(ctx, nth(tenants, 902), nth(policies, 902), func(store.Policy) error { return nil })
		}},
	} {
		if read := s.scanned(t, c.st); len(read) > 0 {
			t.Errorf("%s scans %v", c.name, read)
		}
		s.sent.Take()
		if err := c.op(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, st := range explained(s.sent.Take()) {
			if n, text := s.plan(t, st); len(n.whole()) > 0 {
				t.Errorf("%s reads all of %v: %s\n%s", c.name, n.whole(), st.Query, text)
			}
		}
	}
	// That this would be seen.
	if err := s.RemoveIndexes(ctx); err != nil {
		t.Fatal(err)
	}
	policy.Args = []any{nth(policies, 903)}
	if read := s.scanned(t, policy); !slices.Equal(read, []string{"auth_group_policy", "auth_user_policy"}) {
		t.Errorf("without our indexes the deletion of a policy scans %v", read)
	}
}

// scanned runs a statement, undoes it, and returns the tables of which rows were
// read by scanning from one end to the other.
func (s scaled) scanned(t *testing.T, st postgres.Statement) (tables []string) {
	t.Helper()
	tx, err := s.DB().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if res, err := tx.ExecContext(t.Context(), st.Query, st.Args...); err != nil {
		t.Fatal(err)
	} else if n, err := res.RowsAffected(); n != 1 {
		t.Fatalf("%s touches %d rows, %v", st.Query, n, err)
	}
	read, err := sqlstore.Strings(t.Context(), tx, `select relname from pg_stat_xact_user_tables where seq_tup_read > 0 order by relname`)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(read, func(table string) bool { return !slices.Contains(grows, table) })
}

// BenchmarkScale measures reads in the database of [scaled]. The figures are in
// docs/operations.md.
func BenchmarkScale(b *testing.B) {
	s := newScaled(b)
	ctx := b.Context()
	limit := int64(100)
	accounts := func(tenant int, offset int64, recurse bool) func() error {
		return func() error {
			page, err := s.ListAccounts(ctx, store.List{Tenant: nth(tenants, tenant), Recurse: recurse, Limit: &limit, Offset: offset})
			if err == nil && len(page.Items) == 0 {
				err = store.ErrNotFound
			}
			return err
		}
	}
	for _, c := range []struct {
		name string
		op   func() error
	}{
		{"login/username", func() error { _, err := s.CredentialsByLogin(ctx, "user-77"); return err }},
		{"login/address", func() error { _, err := s.CredentialsByLogin(ctx, "user-77@example.org"); return err }},
		{"UserAccesses", func() error { _, err := s.UserAccesses(ctx, nth(users, user), "policy-1"); return err }},
		{"users/leaf", accounts(leaf, 0, false)},
		{"users/large", accounts(large, 0, false)},
		{"users/large/offset 9000", accounts(large, 9000, false)},
		{"users/all", accounts(1, 0, true)},
		{"users/all/offset 90000", accounts(1, 90000, true)},
		{"groups/all", func() error {
			_, err := s.ListGroups(ctx, store.List{Tenant: nth(tenants, 1), Recurse: true, Limit: &limit})
			return err
		}},
		{"policies/leaf", func() error {
			_, err := s.ListPolicies(ctx, store.List{Tenant: nth(tenants, leaf), Limit: &limit})
			return err
		}},
		{"tenants/all", func() error {
			_, err := s.ListTenants(ctx, store.List{Tenant: nth(tenants, 1), Recurse: true, Limit: &limit})
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if err := c.op(); err != nil {
					b.Fatal(err)
				}
			}
			s.sent.Take()
		})
	}
}
