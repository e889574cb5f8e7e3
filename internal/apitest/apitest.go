// Package apitest replays the API's golden transcripts (testdata/transcripts)
// against the service, whatever stands around it: each file runs over a fresh
// database, with the users and the time that its directives set up.
//
// The directives:
//
//	@ tenant NAME [parent=NAME] [slug=SLUG]
//	@ policy NAME [access=A[,A…]] [tenant=NAME] [shared] [config-managed] [holders=USER|GROUP[,…]]
//	@ group NAME [tenant=NAME] [system-managed] [members=USER[,…]]
//	@ user NAME [PASSWORD] [purpose=P] [tenant=NAME] [email=ADDRESS] [unconfirmed]
//	            [disabled] [method=M] [access=A[,A…]] [group=NAME:A[,A…]]
//	@ token NAME
//	@ internal-token access=A[,A…]
//	@ sessions NAME COUNT
//	@ refresh-token NAME CLIENT [mobile] [metadata=JSON]
//	@ disable-user NAME
//	@ delete-user NAME
//	@ clock DURATION
//	@ purge
//
// tenant, user, policy, group and internal-token publish the new uuid as $NAME
// in capitals, - as _; the top tenant is $MASTER, a tenant's group of all users
// is $NAME_ALL. token stores a token for a user, with what he may access at
// this moment, and publishes it as $NAME_TOKEN: for conversations that are not
// about logging in.
package apitest

import (
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/internal/transcript"
)

// Clock is a clock that only tests move. Safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at an instant with a fraction.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC)}
}

// Now is the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves it.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Server is a service under test.
type Server struct {
	URL   string
	Store *sqlstore.Store // with the schema made
	Clock *Clock
	// Purge removes expired tokens.
	Purge func(context.Context) error
}

// Files lists the transcripts in dir.
func Files(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts in %s: %v", dir, err)
	}
	return files
}

// Name is the name of a transcript's subtest.
func Name(file string) string { return strings.TrimSuffix(filepath.Base(file), ".txt") }

// Replay runs one transcript.
func Replay(t *testing.T, file string, s Server) {
	t.Helper()
	sc := &scene{Server: s, vars: map[string]string{}}
	sc.vars["MASTER"] = sc.text(t, `select uuid from auth_tenant where uuid = parent_uuid`)
	transcript.Run(t, file, transcript.Target{BaseURL: s.URL, Directive: sc.directive, Vars: sc.vars})
}

// scene carries out directives.
type scene struct {
	Server
	vars    map[string]string
	created int // refresh tokens, so far
}

func (s *scene) directive(t testing.TB, words []string) {
	t.Helper()
	o := parseOptions(words[1:])
	switch words[0] {
	case "tenant":
		s.tenant(t, o)
	case "policy":
		s.ownPolicy(t, o)
	case "group":
		s.group(t, o)
	case "user":
		s.user(t, o)
	case "token":
		s.token(t, o.word(0))
	case "internal-token":
		s.internalToken(t, o.list("access"))
	case "sessions":
		s.sessions(t, o.word(0), o.word(1))
	case "refresh-token":
		s.refreshToken(t, o)
	case "disable-user":
		s.exec(t, `update auth_user set enabled = $2 where uuid = $1`, s.uuid(t, o.word(0)), false)
	case "delete-user":
		s.exec(t, `delete from auth_user where uuid = $1`, s.uuid(t, o.word(0)))
	case "clock":
		d, err := time.ParseDuration(o.word(0))
		if err != nil {
			t.Fatalf("clock: %v", err)
		}
		s.Clock.Advance(d)
	case "purge":
		if err := s.Purge(t.Context()); err != nil {
			t.Fatalf("purge: %v", err)
		}
	default:
		t.Fatalf("unknown directive %q", words[0])
	}
}

func (s *scene) tenant(t testing.TB, o options) {
	t.Helper()
	name, id := o.word(0), uuid.NewString()
	parent := "master"
	if p := o.named["parent"]; p != "" {
		parent = p
	}
	slug := o.named["slug"]
	if slug == "" {
		slug = name
	}
	s.exec(t, `insert into auth_tenant (uuid, name, slug, parent_uuid) values ($1, $2, $3, $4)`, id, name, slug, s.uuid(t, parent))
	group, all := "wazo-all-users-tenant-"+id, uuid.NewString()
	s.exec(t, `insert into auth_group (uuid, name, slug, tenant_uuid, system_managed) values ($1, $2, $3, $4, true)`, all, group, group, id)
	s.publish(name, id)
	s.publish(name+"_all", all)
}

func (s *scene) publish(name, id string) {
	s.vars[strings.ToUpper(strings.ReplaceAll(name, "-", "_"))] = id
}

// home is the tenant that tenant=NAME says, else the top one.
func (s *scene) home(t testing.TB, o options) string {
	t.Helper()
	if name := o.named["tenant"]; name != "" {
		return s.uuid(t, name)
	}
	return s.vars["MASTER"]
}

// ownPolicy is a policy as its tenant makes it, with whoever holds it.
func (s *scene) ownPolicy(t testing.TB, o options) {
	t.Helper()
	name := o.word(0)
	id := s.policy(t, name, name, o.list("access"))
	s.exec(t, `update auth_policy set tenant_uuid = $2, shared = $3, config_managed = $4 where uuid = $1`, id, s.home(t, o), o.has("shared"), o.has("config-managed"))
	for _, holder := range o.list("holders") {
		s.exec(t, `insert into auth_user_policy (user_uuid, policy_uuid) select uuid, $2 from auth_user where uuid = $1`, s.uuid(t, holder), id)
		s.exec(t, `insert into auth_group_policy (group_uuid, policy_uuid) select uuid, $2 from auth_group where uuid = $1`, s.uuid(t, holder), id)
	}
	s.publish(name, id)
}

func (s *scene) group(t testing.TB, o options) {
	t.Helper()
	name, id := o.word(0), uuid.NewString()
	s.exec(t, `insert into auth_group (uuid, name, slug, tenant_uuid, system_managed) values ($1, $2, $3, $4, $5)`, id, name, name, s.home(t, o), o.has("system-managed"))
	for _, member := range o.list("members") {
		s.exec(t, `insert into auth_user_group (group_uuid, user_uuid) values ($1, $2)`, id, s.uuid(t, member))
	}
	s.publish(name, id)
}

func (s *scene) policy(t testing.TB, name, slug string, accesses []string) (id string) {
	t.Helper()
	id = uuid.NewString()
	s.exec(t, `insert into auth_policy (uuid, name, slug, tenant_uuid) values ($1, $2, $3, $4)`, id, name, slug, s.vars["MASTER"])
	for _, a := range accesses {
		s.exec(t, `insert into auth_access (access) values ($1) on conflict do nothing`, a)
		s.exec(t, `insert into auth_policy_access (policy_uuid, access_id) select $1, id from auth_access where access = $2`, id, a)
	}
	return id
}

func (s *scene) user(t testing.TB, o options) {
	t.Helper()
	name := o.word(0)
	u := store.NewUser{User: store.User{Username: name, Enabled: !o.has("disabled"), Purpose: store.PurposeUser, Method: store.MethodDefault}, Email: o.named["email"]}
	if p := o.named["purpose"]; p != "" {
		u.Purpose = p
	}
	if m := o.named["method"]; m != "" {
		u.Method = m
	}
	if tenant := o.named["tenant"]; tenant != "" {
		u.TenantUUID = s.uuid(t, tenant)
	}
	if pass := o.word(1); pass != "" && pass != "unconfirmed" && pass != "disabled" {
		var err error
		if u.PasswordHash, u.PasswordSalt, err = hashed(pass); err != nil {
			t.Fatal(err)
		}
	}
	created, err := s.Store.CreateUser(t.Context(), u)
	if err != nil {
		t.Fatalf("user %s: %v", name, err)
	}
	if o.has("unconfirmed") {
		s.exec(t, `update auth_email set confirmed = false where user_uuid = $1`, created.UUID)
	}
	if list := o.list("access"); list != nil {
		id := s.policy(t, name+"-policy", name+"-policy", list)
		s.exec(t, `insert into auth_user_policy (user_uuid, policy_uuid) values ($1, $2)`, created.UUID, id)
	}
	if group, list, ok := strings.Cut(o.named["group"], ":"); ok {
		id, policy := uuid.NewString(), s.policy(t, group+"-policy", group+"-policy", strings.Split(list, ","))
		s.exec(t, `insert into auth_group (uuid, name, slug, tenant_uuid) values ($1, $2, $3, $4)`, id, group, group, created.TenantUUID)
		s.exec(t, `insert into auth_group_policy (group_uuid, policy_uuid) values ($1, $2)`, id, policy)
		s.exec(t, `insert into auth_user_group (group_uuid, user_uuid) values ($1, $2)`, id, created.UUID)
	}
	s.publish(name, created.UUID)
}

func (s *scene) token(t testing.TB, name string) {
	t.Helper()
	u, err := s.Store.UserByUUID(t.Context(), s.uuid(t, name))
	if err != nil {
		t.Fatalf("token: %v", err)
	}
	accesses, err := s.Store.UserAccesses(t.Context(), u.UUID, "")
	if err != nil {
		t.Fatalf("token: %v", err)
	}
	s.publish(name+"_token", s.issued(t, u.TenantUUID, store.Token{
		AuthID: u.UUID, Metadata: `{"tenant_uuid": "` + u.TenantUUID + `"}`, UserAgent: "transcript", ACL: accesses,
	}))
}

// internalToken stores a token as the service issues them to itself: its auth
// id is no user's, and its metadata says nothing.
func (s *scene) internalToken(t testing.TB, accesses []string) {
	t.Helper()
	s.publish("internal", s.issued(t, s.vars["MASTER"], store.Token{
		AuthID: "wazo-auth", Metadata: "{}", UserAgent: "wazo-auth-internal", ACL: accesses,
	}))
}

// issued stores a token that is good for an hour, and its session.
func (s *scene) issued(t testing.TB, tenant string, token store.Token) (id string) {
	t.Helper()
	token.UUID, token.SessionUUID, token.RemoteAddr = uuid.NewString(), uuid.NewString(), "127.0.0.1"
	token.IssuedAt = s.Clock.Now().Unix()
	token.ExpiresAt = token.IssuedAt + 3600
	if err := s.Store.CreateToken(t.Context(), store.Session{UUID: token.SessionUUID, TenantUUID: tenant}, token); err != nil {
		t.Fatalf("token: %v", err)
	}
	return token.UUID
}

// sessions gives a user sessions without his logging in for each.
func (s *scene) sessions(t testing.TB, name, count string) {
	t.Helper()
	n, err := strconv.Atoi(count)
	if err != nil {
		t.Fatalf("sessions: %v", err)
	}
	now := s.Clock.Now().Unix()
	for range n {
		session := uuid.NewString()
		err := s.Store.CreateToken(t.Context(), store.Session{UUID: session, TenantUUID: s.vars["MASTER"]}, store.Token{
			UUID: uuid.NewString(), AuthID: s.uuid(t, name), IssuedAt: now, ExpiresAt: now + 3600, SessionUUID: session,
		})
		if err != nil {
			t.Fatalf("sessions: %v", err)
		}
	}
}

// refreshToken stores a refresh token and publishes its uuid as $NAME_CLIENT.
// Each is a second younger than the one before.
func (s *scene) refreshToken(t testing.TB, o options) {
	t.Helper()
	name, client, id := o.word(0), o.word(1), uuid.NewString()
	metadata := o.named["metadata"]
	if metadata == "" {
		metadata = "{}"
	}
	s.created++
	s.exec(t, `insert into auth_refresh_token (uuid, client_id, user_uuid, backend, login, user_agent, remote_addr, created_at, mobile, metadata)
values ($1, $2, $3, 'wazo_user', $4, '', '', $5, $6, $7)`, id, client, s.uuid(t, name), name,
		s.Clock.Now().Add(time.Duration(s.created)*time.Second).Format("2006-01-02T15:04:05.000000Z"), o.has("mobile"), metadata)
	s.vars[strings.ToUpper(name+"_"+client)] = id
}

// uuid returns what a directive published under name.
func (s *scene) uuid(t testing.TB, name string) string {
	t.Helper()
	id, ok := s.vars[strings.ToUpper(strings.ReplaceAll(name, "-", "_"))]
	if !ok {
		t.Fatalf("nothing is called %q", name)
	}
	return id
}

func (s *scene) exec(t testing.TB, query string, args ...any) {
	t.Helper()
	if _, err := s.Store.DB().ExecContext(t.Context(), s.Store.Rebind(query), args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func (s *scene) text(t testing.TB, query string) (v string) {
	t.Helper()
	if err := s.Store.DB().QueryRowContext(t.Context(), s.Store.Rebind(query)).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

// options are the words after a directive's name: plain ones and key=value.
type options struct {
	plain []string
	named map[string]string
}

func parseOptions(words []string) options {
	o := options{named: map[string]string{}}
	for _, w := range words {
		if k, v, ok := strings.Cut(w, "="); ok {
			o.named[k] = v
		} else {
			o.plain = append(o.plain, w)
		}
	}
	return o
}

func (o options) word(i int) string {
	if i < len(o.plain) {
		return o.plain[i]
	}
	return ""
}

func (o options) has(word string) bool {
	return slices.Contains(o.plain[1:], word)
}

func (o options) list(key string) []string {
	if v, ok := o.named[key]; ok {
		return strings.Split(v, ",")
	}
	return nil
}
