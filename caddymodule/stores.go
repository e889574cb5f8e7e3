package caddymodule

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
)

// Opener is what modules in the namespace xivo_auth.stores implement.
type Opener interface {
	// StoreKey identifies what OpenStore would open: configurations with the
	// same key share one store across reloads. It may hold secrets; only a
	// digest of it is kept.
	StoreKey() string
	// OpenStore opens the store without touching network or disk content,
	// since it is called while a configuration is only being checked. What
	// the store has to tell goes where o says; the rest of o is for the module
	// to fill in.
	OpenStore(o store.Options) (store.Store, error)
}

// SQLite keeps everything in one file on this machine. It needs nothing
// installed and serves one node; several nodes share a Postgres instead.
type SQLite struct {
	// Path of the database file. It is created when missing, with its
	// directory. Placeholders are expanded. Default: xivo-auth/auth.db in
	// Caddy's data directory.
	Path string `json:"path,omitempty"`
	// MaxConns is the most connections held open. Default 8.
	MaxConns int `json:"max_conns,omitempty"`
	// Timeout bounds every operation, waiting for a lock included.
	// Default 5s, at most 15s.
	Timeout caddy.Duration `json:"timeout,omitempty"`
}

// CaddyModule implements [caddy.Module].
func (*SQLite) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "xivo_auth.stores.sqlite", New: func() caddy.Module { return new(SQLite) }}
}

// Provision implements [caddy.Provisioner].
func (s *SQLite) Provision(caddy.Context) error {
	if s.Path == "" {
		s.Path = defaultSQLitePath()
	}
	path, err := caddy.NewReplacer().ReplaceOrErr(s.Path, true, true)
	if err != nil {
		return fmt.Errorf("expanding the path of the database: %w", err)
	}
	if s.Path, err = filepath.Abs(path); err != nil {
		return fmt.Errorf("finding the database file: %w", err)
	}
	if s.MaxConns == 0 {
		s.MaxConns = 8
	}
	return checkTimeout(s.Timeout)
}

func defaultSQLitePath() string { return filepath.Join(caddy.AppDataDir(), "xivo-auth", "auth.db") }

// StoreKey implements [Opener].
func (s *SQLite) StoreKey() string {
	return fmt.Sprintf("sqlite %q %d %d", s.Path, s.MaxConns, s.Timeout)
}

// OpenStore implements [Opener].
func (s *SQLite) OpenStore(o store.Options) (store.Store, error) {
	o.MaxConns, o.Timeout = s.MaxConns, time.Duration(s.Timeout)
	return sqlite.Open(s.Path, o)
}

// Postgres keeps everything in the stack's own database, in the historical
// schema, so that this service and the one it replaces can be swapped.
type Postgres struct {
	// DSN names the database: a URL (postgres://user:password@host/name) or
	// key=value pairs, as libpq reads them. It usually holds a secret, so
	// give it as a placeholder, {env.XIVO_AUTH_DSN} or
	// {file./run/secrets/dsn}: what is written here in full can be read at
	// Caddy's admin endpoint. Say `sslmode` explicitly.
	DSN string `json:"dsn,omitempty"`
	// Listen is another DSN for the one connection that listens for
	// revocations, where a pooler in transaction mode stands before the
	// database: such a pooler cannot listen. Default: DSN.
	Listen string `json:"listen,omitempty"`
	// ReadReplica is the DSN of a streaming standby of the database, or of
	// what balances several. Tokens that are not in memory are read there
	// first, and from the database itself where the replica does not have
	// them, lacks a revocation that this node has heard of, or does not
	// answer. Nothing else is read there. It needs the revocation feed, and
	// that to listen. Default: none.
	ReadReplica string `json:"read_replica,omitempty"`
	// MaxConns is the most connections held open, to the database and to the
	// replica each. Default 32.
	MaxConns int `json:"max_conns,omitempty"`
	// ConnMaxIdle closes connections idle for longer. Default 5m.
	ConnMaxIdle caddy.Duration `json:"conn_max_idle,omitempty"`
	// Timeout bounds every operation, waiting for a connection included.
	// Default 5s, at most 15s.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	dsn, listen, readReplica string // expanded; never shown
}

// CaddyModule implements [caddy.Module].
func (*Postgres) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "xivo_auth.stores.postgres", New: func() caddy.Module { return new(Postgres) }}
}

// Provision implements [caddy.Provisioner].
func (p *Postgres) Provision(caddy.Context) error {
	if p.DSN == "" {
		return errors.New("a postgres store needs a dsn")
	}
	dsn, err := caddy.NewReplacer().ReplaceOrErr(p.DSN, true, true)
	if err != nil {
		return fmt.Errorf("expanding the dsn: %w", err)
	}
	p.dsn = dsn
	if p.Listen != "" {
		if p.listen, err = caddy.NewReplacer().ReplaceOrErr(p.Listen, true, true); err != nil {
			return fmt.Errorf("expanding the dsn to listen at: %w", err)
		}
	}
	if p.ReadReplica != "" {
		if p.readReplica, err = caddy.NewReplacer().ReplaceOrErr(p.ReadReplica, true, true); err != nil {
			return fmt.Errorf("expanding the dsn of the read replica: %w", err)
		}
	}
	return checkTimeout(p.Timeout)
}

// maxTimeout is less than the cache remembers a revocation for: a read must
// not outlive that.
const maxTimeout = 15 * time.Second

func checkTimeout(d caddy.Duration) error {
	if d < 0 || time.Duration(d) > maxTimeout {
		return fmt.Errorf("timeout is %s: it is positive and at most %s", time.Duration(d), maxTimeout)
	}
	return nil
}

// StoreKey implements [Opener].
func (p *Postgres) StoreKey() string {
	return fmt.Sprintf("postgres %q %q %q %d %d %d", p.dsn, p.listen, p.readReplica, p.MaxConns, p.ConnMaxIdle, p.Timeout)
}

// OpenStore implements [Opener].
func (p *Postgres) OpenStore(o store.Options) (store.Store, error) {
	o.MaxConns, o.ConnMaxIdle, o.Timeout = p.MaxConns, time.Duration(p.ConnMaxIdle), time.Duration(p.Timeout)
	o.ListenDSN, o.ReplicaDSN = p.listen, p.readReplica
	return postgres.Open(p.dsn, o)
}

var (
	_ Opener            = (*SQLite)(nil)
	_ Opener            = (*Postgres)(nil)
	_ caddy.Provisioner = (*SQLite)(nil)
	_ caddy.Provisioner = (*Postgres)(nil)
)
