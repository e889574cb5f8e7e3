package postgres

import (
	"strings"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, dsn  string
		timeout    time.Duration
		host, db   string
		connect    time.Duration
		app, param string
	}{
		{"url", "postgres://u:p@h/d?sslmode=disable", 0, "h", "d", 5 * time.Second, "xivo-auth", ""},
		{"long scheme", "postgresql://u@h/d", 0, "h", "d", 5 * time.Second, "xivo-auth", ""},
		{"pairs", "host=h dbname=d password='a b'", 0, "h", "d", 5 * time.Second, "xivo-auth", ""},
		{"as the reference's", "postgresql://asterisk:proformatique@localhost/asterisk?application_name=wazo-auth", 0, "localhost", "asterisk", 5 * time.Second, "wazo-auth", ""},
		{"own timeout", "host=h dbname=d connect_timeout=9", 0, "h", "d", 9 * time.Second, "xivo-auth", ""},
		{"endless timeout", "host=h dbname=d connect_timeout=0", 2 * time.Second, "h", "d", 2 * time.Second, "xivo-auth", ""},
		{"short timeout", "host=h dbname=d", 100 * time.Millisecond, "h", "d", time.Second, "xivo-auth", ""},
		{"run-time parameter", "postgres://h/d?search_path=auth", 0, "h", "d", 5 * time.Second, "xivo-auth", "auth"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg, err := config(c.dsn, store.Options{Timeout: c.timeout}.Defaults())
			if err != nil {
				t.Fatal(err)
			}
			if cfg.Host != c.host || cfg.Database != c.db || cfg.ConnectTimeout != c.connect ||
				cfg.ApplicationName != c.app || cfg.Runtime["search_path"] != c.param || !cfg.BinaryParameters {
				t.Errorf("got %s %s %v %q %v", cfg.Host, cfg.Database, cfg.ConnectTimeout, cfg.ApplicationName, cfg.Runtime)
			}
		})
	}
}

// What a parser says about a connection string quotes parts of it, and the
// parts it stumbles over are passwords with characters nobody encoded.
func TestConfigSecrecy(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"postgres://user:s3cr3t/word@host/db",
		"postgres://user:s3cr3t%zz@host/db",
		"postgres://user:s3cr3t@host:port/db",
		"postgres://user:s3cr3t@[host/db",
		"postgres://user:s3cr3t\x7f@host/db",
		"host=h password=my s3cr3t word",
		"host=h password='s3cr3t",
		"host=h password=x\\",
		"password=s3cr3t sslmode=s3cr3t",
		"password=s3cr3t port=s3cr3t",
		"s3cr3t",
	} {
		_, err := Open(dsn, store.Options{})
		if err == nil {
			t.Errorf("%q was understood", dsn)
		} else if strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: %v", dsn, err)
		}
	}
}

func TestWay(t *testing.T) {
	t.Setenv("PGHOST", "from.env")
	for dsn, want := range map[string][2]string{
		"postgres://u:p@h/d?sslmode=disable":           {"h", "disable"},
		"postgres://u:p@h/d":                           {"h", "prefer"},
		"host=/run/postgresql dbname=d":                {"/run/postgresql", "prefer"},
		"host=h hostaddr=192.0.2.7 sslmode=require":    {"192.0.2.7", "require"},
		"dbname=d sslmode=verify-full sslrootcert=x":   {"from.env", "verify-full"},
		"postgres://u:secret@h:port/d?sslmode=disable": {"", ""},
	} {
		host, mode, err := Way(dsn)
		if got := [2]string{host, mode}; got != want || (err != nil) != (want[0] == "") {
			t.Errorf("%s: %v, %v; want %v", dsn, got, err, want)
		}
	}
}
