// Package pgtest gives tests a private PostgreSQL.
//
// [DSN] returns a fresh database on the server named by the environment
// variable [EnvDSN] or, without it, on a cluster that the test process starts
// for itself, in a temporary directory and without syncing to disk. [Start]
// gives a test a server of its own, to be killed and restarted at will. The
// command withpg runs a command, such as go test ./..., with one cluster for
// all its processes.
//
// Nothing outlives the process that started it, however that ends: the kernel
// signals the server (Linux), and a small shell script, which outlives the
// process by moments, removes the files and signals a server that is still
// there. Directories left by a crash of the whole machine go at the next
// start.
//
// Without the server's binaries a test run by root installs Debian's package
// postgresql; other users' tests are skipped.
package pgtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/lib/pq" // registers the driver "postgres"
)

// EnvDSN names the environment variable with the connection string of a role
// that may create databases and extensions.
const EnvDSN = "XIVO_AUTH_TEST_POSTGRES"

// ErrMissing reports that no PostgreSQL server is installed.
var ErrMissing = errors.New("no PostgreSQL server binaries found; install Debian's package postgresql, " +
	"or name a server in " + EnvDSN)

// adminTimeout bounds creating or dropping one database.
const adminTimeout = time.Minute

// admin is the server databases are created on, one per process.
var admin = sync.OnceValues(func() (server, error) {
	dsn := os.Getenv(EnvDSN)
	if dsn == "" {
		// Never stopped: it ends with the process (see the package comment).
		srv, err := Start(context.Background())
		if err != nil {
			return server{}, err
		}
		dsn = srv.DSN
	}
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return server{}, fmt.Errorf("pgtest: the connection string in %s is not usable", EnvDSN)
	}
	// Databases are cloned one by one anyway; the rest of the server's
	// connections belong to the tests.
	db.SetMaxOpenConns(2)
	return server{dsn: dsn, db: db}, nil
})

type server struct {
	dsn string
	db  *sql.DB
}

// DSN returns the connection string of a new, empty UTF-8 database, which is
// dropped when the test ends, with connections still open to it or not. The
// role may create the extension uuid-ossp. The test is skipped when there is
// no server and none can be installed. It is safe for concurrent use.
func DSN(t testing.TB) string {
	t.Helper()
	srv, err := admin()
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return srv.database(t)
}

// DatabaseOn is [DSN] on the server that dsn names, such as one from [Start].
func DatabaseOn(t testing.TB, dsn string) string {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return server{dsn: dsn, db: db}.database(t)
}

func (srv server) database(t testing.TB) string {
	t.Helper()
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	name := "xivo_auth_test_" + hex.EncodeToString(b[:])

	ctx, cancel := context.WithTimeout(t.Context(), adminTimeout)
	defer cancel()
	// The locale is named so that lower() folds all of Unicode, whatever the
	// server's own is.
	if _, err := srv.db.ExecContext(ctx, `create database `+name+
		` template template0 encoding 'UTF8' lc_collate 'C.UTF-8' lc_ctype 'C.UTF-8'`); err != nil {
		t.Fatalf("pgtest: creating a database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), adminTimeout)
		defer cancel()
		if _, err := srv.db.ExecContext(ctx, `drop database if exists `+name+` with (force)`); err != nil {
			t.Errorf("pgtest: dropping a database: %v", err)
		}
	})
	return WithDatabase(srv.dsn, name)
}

// WithDatabase returns dsn, in either form, for another database of the same
// server.
func WithDatabase(dsn, name string) string {
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		if u, err := url.Parse(dsn); err == nil {
			u.Path = "/" + name
			return u.String()
		}
	}
	return dsn + " dbname=" + name // of repeated keys the last one counts
}
