package caddymodule

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// openPostgres makes a database with a schema and the feed's log.
func openPostgres(t *testing.T, dsn string) *sqlstore.Store {
	t.Helper()
	st, err := postgres.Open(dsn, store.Options{MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	if _, err := st.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := st.InstallLog(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := st.InstallIndexes(t.Context()); err != nil {
		t.Fatal(err)
	}
	return st
}

// withURL changes a DSN.
func withURL(t *testing.T, dsn string, change func(*url.URL)) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	change(u)
	return u.String()
}

// newRole makes a role that may do nothing, and returns the DSN with it.
func newRole(t *testing.T, st *sqlstore.Store, dsn, option string) (name, roleDSN string) {
	t.Helper()
	name = "doctor_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	execOn(t, st, `create role `+name+` login password 'x' `+option)
	t.Cleanup(func() {
		for _, s := range []string{`drop owned by `, `drop role `} {
			if _, err := st.DB().Exec(s + name); err != nil {
				t.Error(err)
			}
		}
	})
	return name, withURL(t, dsn, func(u *url.URL) { u.User = url.UserPassword(name, "x") })
}

// via returns dsn through a network of its own on address: the server's
// answers take delay longer.
func via(t *testing.T, dsn, address string, delay time.Duration) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var server string
	dsn = withURL(t, dsn, func(u *url.URL) { server, u.Host = u.Host, l.Addr().String() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = client.Close() }()
				conn, err := net.Dial("tcp", server)
				if err != nil {
					return
				}
				defer func() { _ = conn.Close() }()
				go func() {
					_, _ = io.Copy(conn, client)
					_ = conn.Close()
				}()
				buf := make([]byte, 64<<10)
				for {
					n, err := conn.Read(buf)
					time.Sleep(delay)
					if _, werr := client.Write(buf[:n]); err != nil || werr != nil {
						return
					}
				}
			}()
		}
	}()
	return dsn
}

var allPostgresChecks = []string{"database", "rights", "schema", "indexes", "feed log", "feed news", "clock", "connections", "sslmode", "cache"}

// What is wrong with a Postgres, done to a real one.
func TestDoctor_Postgres(t *testing.T) {
	t.Parallel()
	type harmed struct {
		*doctor
		t  *testing.T
		st *sqlstore.Store
	}
	exec := func(statements ...string) func(harmed) {
		return func(h harmed) { execOn(h.t, h.st, statements...) }
	}
	const free = "127.0.0.1:1" // nobody listens there
	for _, c := range []struct {
		name                  string
		harm                  func(harmed)
		check, status, detail string
	}{
		{"nobody listens", func(h harmed) { h.dsn = withURL(h.t, h.dsn, func(u *url.URL) { u.Host = free }) }, "database", doctorFail, "connection refused"},
		{"no such database", func(h harmed) { h.dsn = pgtest.WithDatabase(h.dsn, "nowhere") }, "database", doctorFail, `"nowhere" does not exist`},
		{"no such role", func(h harmed) { h.dsn = withURL(h.t, h.dsn, func(u *url.URL) { u.User = url.User("nobody_at_all") }) }, "database", doctorFail, "nobody_at_all"},
		{"far away", func(h harmed) { h.dsn, h.worry = via(h.t, h.dsn, "127.0.0.1", 2*usual.trip), usual }, "database", doctorWarn, "answers in "},

		{"a role without rights", func(h harmed) { _, h.dsn = newRole(h.t, h.st, h.dsn, "") }, "rights", doctorFail,
			"alembic_version_auth (select), auth_access (delete, insert, select, update), "},
		{"a role that may only read", func(h harmed) {
			var name string
			name, h.dsn = newRole(h.t, h.st, h.dsn, "")
			execOn(h.t, h.st, `grant select on all tables in schema public to `+name)
		}, "rights", doctorFail, "xivo_edge_revocation (delete), xivo_edge_state (update)"},
		{"a role that may do all but prune", func(h harmed) {
			var name string
			name, h.dsn = newRole(h.t, h.st, h.dsn, "")
			execOn(h.t, h.st, `grant all on all tables in schema public to `+name, `revoke delete on xivo_edge_revocation from `+name)
		}, "rights", doctorFail, "the role lacks xivo_edge_revocation (delete)"},
		{"a role with its rights", func(h harmed) {
			var name string
			name, h.dsn = newRole(h.t, h.st, h.dsn, "")
			execOn(h.t, h.st, `grant all on all tables in schema public to `+name)
		}, "rights", doctorOK, ""},
		{"a database that takes no writes", func(h harmed) {
			execOn(h.t, h.st, `do $$ begin execute 'alter database ' || current_database() || ' set default_transaction_read_only = on'; end $$`)
		}, "rights", doctorFail, "takes no writes"},

		{"an empty database", func(h harmed) { h.dsn = pgtest.DSN(h.t) }, "schema", doctorFail, "the database is empty"},
		{"another revision", exec(`update alembic_version_auth set version_num = '2017'`), "schema", doctorFail, "found revision 2017"},
		{"a table is missing", exec(`drop table auth_saml_session`), "schema", doctorFail, "no table auth_saml_session"},

		{"no log", func(h harmed) {
			if err := h.st.RemoveLog(h.t.Context()); err != nil {
				h.t.Fatal(err)
			}
		}, "feed log", doctorWarn, "not installed"},
		{"no log, and none wanted", func(h harmed) {
			h.feed = feedOff
			if err := h.st.RemoveLog(h.t.Context()); err != nil {
				h.t.Fatal(err)
			}
		}, "feed log", doctorOK, "does without"},
		{"a trigger is missing", exec(`drop trigger xivo_edge_ended on auth_token`), "feed log", doctorFail, "missing, so revocations made elsewhere are not told: auth_token.xivo_edge_ended"},
		{"a trigger is disabled", exec(`alter table auth_user disable trigger xivo_edge_moved`), "feed log", doctorFail, "disabled, so revocations made elsewhere are not told: auth_user.xivo_edge_moved"},
		{"a trigger for replicas only", exec(`alter table auth_user enable replica trigger xivo_edge_moved`), "feed log", doctorFail, ": auth_user.xivo_edge_moved"},

		{"an index is missing", exec(`drop index xivo_edge_user_group_user`), "indexes", doctorWarn, "missing: xivo_edge_user_group_user"},
		{"an index is not whole", exec(`update pg_index set indisvalid = false where indexrelid = 'xivo_edge_token_auth'::regclass`), "indexes", doctorWarn, "missing: xivo_edge_token_auth"},

		{"nobody to listen to", func(h harmed) { h.listen = withURL(h.t, h.dsn, func(u *url.URL) { u.Host = free }) }, "feed news", doctorFail, "connection refused"},
		{"listening to another database", func(h harmed) { h.listen, h.worry.silence = pgtest.DSN(h.t), time.Second }, "feed news", doctorFail, "nothing was heard"},
		{"late news", func(h harmed) {
			h.listen, h.worry.news = via(h.t, h.dsn, "127.0.0.1", usual.news+time.Millisecond), usual.news
		}, "feed news", doctorWarn, "heard after "},

		{"a slow clock", func(h harmed) { h.now = func() time.Time { return time.Now().Add(-time.Hour) } }, "clock", doctorFail, "the database is 1h0m0"},
		{"a fast clock", func(h harmed) { h.now = func() time.Time { return time.Now().Add(time.Hour) } }, "clock", doctorFail, " behind"},
		{"a clock a little fast", func(h harmed) { h.now = func() time.Time { return time.Now().Add(patience * 3 / 2) } }, "clock", doctorWarn, " behind"},

		{"a pool too large", func(h harmed) { h.maxConns = 1e6 }, "connections", doctorFail, "a node takes up to 1000001"},
		{"a role with few connections", func(h harmed) {
			var name string
			name, h.dsn = newRole(h.t, h.st, h.dsn, "connection limit 4")
			execOn(h.t, h.st, `grant all on all tables in schema public to `+name)
		}, "connections", doctorFail, "the database allows 4, other programs leave 4, a node takes up to 5"},
		{"connections of others", func(h harmed) {
			execOn(h.t, h.st, `do $$ begin execute 'alter database ' || current_database() || ' connection limit 6'; end $$`)
			other := openPostgres(h.t, withURL(h.t, h.dsn, func(u *url.URL) { u.RawQuery += "&application_name=other" }))
			for range 2 {
				conn, err := other.DB().Conn(h.t.Context())
				if err != nil {
					h.t.Fatal(err)
				}
				h.t.Cleanup(func() { _ = conn.Close() })
			}
		}, "connections", doctorWarn, "the database allows 6, other programs leave 4, a node takes up to 5"},

		{"more tokens than fit", func(h harmed) {
			mintThree(h.t, h.st)
			h.grants = 1
		}, "cache", doctorWarn, "2 tokens are valid and 1 fit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := newDoctor(pgtest.DSN(t))
			c.harm(harmed{d, t, openPostgres(t, d.dsn)})
			d.database(t.Context())
			d.finds(t, c.check, c.status, c.detail)
		})
	}
}

// A database with nothing wrong is found so, and is what it was before.
func TestDoctor_PostgresUntouched(t *testing.T) {
	t.Parallel()
	d := newDoctor(pgtest.DSN(t))
	st := openPostgres(t, d.dsn)
	contents := func() string {
		var all strings.Builder
		var tables []string
		const objects = `select format('%s %s %s %s', 'class', oid, relname, relfilenode) from pg_class
			union all select format('%s %s %s %s', 'function', oid, proname, md5(prosrc)) from pg_proc
			union all select format('%s %s %s %s', 'trigger', oid, tgname, tgenabled) from pg_trigger order by 1`
		list := func(query string) (lines []string) {
			rows, err := sqlstore.Strings(t.Context(), st.DB(), query)
			if err != nil {
				t.Fatal(err)
			}
			return rows
		}
		tables = list(`select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1`)
		if len(tables) < 20 {
			t.Fatalf("tables %v", tables)
		}
		fmt.Fprintln(&all, list(objects))
		for _, table := range tables {
			fmt.Fprintln(&all, table, list(`select t::text from `+table+` t order by 1`))
		}
		return all.String()
	}
	before := contents()
	d.database(t.Context())
	d.isSound(t, allPostgresChecks...)
	if contents() != before {
		t.Error("the database is another one")
	}
	// What the log has is what the doctor looks for, no more and no less.
	firing := map[string]bool{}
	names, err := sqlstore.Strings(t.Context(), st.DB(), `select name from (`+sqlPostgresTriggers+`) as t (name, fires) where fires`)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		firing[name] = true
	}
	for _, name := range postgresTriggers {
		delete(firing, name)
	}
	if len(names) != len(postgresTriggers) || len(firing) != 0 {
		t.Errorf("triggers that nobody looks for: %v", firing)
	}
}

// A server that is asked over a network: in clear, encrypted for anybody, and
// encrypted for it alone.
func TestDoctor_Encryption(t *testing.T) {
	t.Parallel()
	address := ownAddress(t)
	srv, err := pgtest.Start(t.Context())
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := srv.Stop(); err != nil {
			t.Error(err)
		}
	})
	st := openPostgres(t, srv.DSN)
	far := via(t, srv.DSN, address, 0)
	look := func(dsn, mode, status, detail string) {
		t.Helper()
		d := newDoctor(withURL(t, dsn, func(u *url.URL) { u.RawQuery = mode }))
		d.database(t.Context())
		d.finds(t, "sslmode", status, detail)
	}
	look(srv.DSN, "sslmode=disable", doctorOK, "does not leave this machine")
	look(far, "sslmode=disable", doctorWarn, "disable, and the connection is not encrypted")
	look(far, "", doctorWarn, "prefer, and the connection is not encrypted")

	certificate, key := selfSigned(t, address)
	// The server's own user writes it where the server looks.
	for name, text := range map[string]string{"server.crt": certificate, "server.key": key} {
		execOn(t, st, `copy (select unnest(string_to_array('`+text+`', E'\n'))) to program 'umask 077; cat >`+name+`'`)
	}
	execOn(t, st, `alter system set ssl = on`, `select pg_reload_conf()`)
	root := filepath.Join(t.TempDir(), "root.crt")
	write(t, root, certificate)
	eventually(t, "the server speaks TLS", func() bool {
		tls, err := postgres.Open(withURL(t, far, func(u *url.URL) { u.RawQuery = "sslmode=require" }), store.Options{MaxConns: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tls.Close() }()
		return tls.Ping(t.Context()) == nil
	})
	look(far, "", doctorWarn, "prefer, and the connection is encrypted")
	look(far, "sslmode=require", doctorWarn, "require, and the connection is encrypted")
	look(far, "sslmode=verify-full&sslrootcert="+root, doctorOK, "verify-full")
}

// ownAddress is one of this machine's in a network.
func ownAddress(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsGlobalUnicast() {
			return ip.IP.String()
		}
	}
	t.Skip("this machine is in no network")
	return ""
}

// selfSigned makes a certificate of address that is its own authority.
func selfSigned(t *testing.T, address string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP(address)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}
