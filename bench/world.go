//go:build linux

package main

import (
	"context"
	"crypto/md5" //nolint:gosec // names, as Postgres has a function for them
	"crypto/rand"
	"database/sql"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// world is a database with the people and tokens that are asked about.
type world struct {
	pg       *pgtest.Server
	db       *sql.DB
	binary   string
	user     string // uuid of the one user, who is in the top tenant
	top, sub string // tenants; sub is below top
}

const (
	userName     = "bench"
	userPassword = "a password of ordinary length"
)

// openWorld starts a private Postgres and fills it in.
func openWorld(ctx context.Context, binary string) (w *world, err error) {
	w = &world{binary: binary}
	if w.pg, err = pgtest.Start(ctx, "shared_buffers=512MB", "max_wal_size=4GB"); err != nil {
		return nil, fmt.Errorf("starting Postgres: %w", err)
	}
	if w.db, err = sql.Open("postgres", w.pg.DSN); err != nil {
		return nil, err
	}
	if err := w.command(ctx, "", "migrate"); err != nil {
		return nil, err
	}
	if err := w.command(ctx, userPassword, "user", "add", userName, "--password-file", "-"); err != nil {
		return nil, err
	}
	if err := w.db.QueryRowContext(ctx, `select uuid, tenant_uuid from auth_user where username = $1`, userName).Scan(&w.user, &w.top); err != nil {
		return nil, fmt.Errorf("looking for the user: %w", err)
	}
	return w, w.tenants(ctx, 100)
}

// command runs one of the binary's own commands on the database.
func (w *world) command(ctx context.Context, input string, args ...string) error {
	cmd := exec.CommandContext(ctx, w.binary, args...) //nolint:gosec // the binary under test
	cmd.Env = append(os.Environ(), "XIVO_AUTH_DSN="+w.pg.DSN)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// tenants sees to it that there are n tenants in all, half of them below the
// other half, and that sub is among them.
func (w *world) tenants(ctx context.Context, n int) error {
	if w.sub == "" {
		w.sub = uuid.NewString()
		if _, err := w.db.ExecContext(ctx, `insert into auth_tenant (uuid, parent_uuid, slug) values ($1, $2, 'sub')`, w.sub, w.top); err != nil {
			return fmt.Errorf("inserting a tenant: %w", err)
		}
	}
	_, err := w.db.ExecContext(ctx, `
insert into auth_tenant (uuid, parent_uuid, slug)
select md5('tenant' || i)::uuid::text, case when i % 2 = 0 then $1::text else $2::text end, 'b' || i
from generate_series((select count(*) from auth_tenant), $3::int - 1) i`, w.top, w.sub, n)
	if err != nil {
		return fmt.Errorf("inserting tenants: %w", err)
	}
	return nil
}

// issue inserts n tokens of the user with these accesses. Its triggers and
// foreign keys are passed over, which makes a million a matter of seconds; the
// rows are those the service writes.
func (w *world) issue(ctx context.Context, set string, from, n int, expires time.Time, accesses ...string) error {
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	metadata := grant.Metadata(w.user, w.top, w.user, "", "user")
	for _, step := range []struct {
		text string
		args []any
	}{
		{`set local session_replication_role = replica`, nil},
		{`insert into auth_session (uuid, mobile, tenant_uuid)
select md5('session' || $1::text || i)::uuid, false, $2::text from generate_series($3::int, $4::int) i`, []any{set, w.top, from, from + n - 1}},
		{`insert into auth_token (uuid, auth_id, pbx_user_uuid, issued_t, expire_t, metadata, session_uuid, acl)
select md5($1::text || i)::uuid, $2::text, $2::text, $3::int, $4::int, $5::text, md5('session' || $1::text || i)::uuid, $6::text[] from generate_series($7::int, $8::int) i`,
			[]any{set, w.user, time.Now().Unix(), expires.Unix(), metadata, pq.Array(accesses), from, from + n - 1}},
	} {
		if _, err := tx.ExecContext(ctx, step.text, step.args...); err != nil {
			return fmt.Errorf("issuing tokens: %w", err)
		}
	}
	return tx.Commit()
}

// token is the i-th of a set that [world.issue] has made.
func token(set string, i int64) string {
	return uuid.UUID(md5.Sum(fmt.Append([]byte(set), i))).String() //nolint:gosec // a name and no secret
}

// The sources of tokens below are called by all clients at once.

// always is one and the same token.
func always(t string) func() string { return func() string { return t } }

// among is one of the first n of a set, each as likely as any other.
func among(set string, n int) func() string {
	list := make([]string, n)
	for i := range list {
		list[i] = token(set, int64(i))
	}
	return func() string { return list[mathrand.IntN(n)] }
}

// inTurn are the tokens of a set one after the other, each once.
func inTurn(set string) func() string { return inTurnFrom(set, 0) }

func inTurnFrom(set string, first int64) func() string {
	var next atomic.Int64
	next.Store(first)
	return func() string { return token(set, next.Add(1)-1) }
}

// madeUp is a token nobody was ever given.
func madeUp() string {
	var id uuid.UUID
	_, _ = rand.Read(id[:]) // never fails
	return id.String()
}

// accessList is one a user of the stack holds: n accesses over a dozen
// services, some with wildcards, the ones asked for last.
func accessList(n int) []string {
	services := []string{"confd", "calld", "auth", "dird", "chatd", "webhookd", "agentd", "amid", "provd", "call-logd"}
	shapes := []string{"%s.resource-%d.read", "%s.users.me.resource-%d.#", "%s.resource-%d.*.update", "!%s.resource-%d.*.secrets.read"}
	list := make([]string, 0, n)
	for i := range n - 1 {
		list = append(list, fmt.Sprintf(shapes[i%len(shapes)], services[i%len(services)], i))
	}
	return append(list, "confd.users.#")
}
