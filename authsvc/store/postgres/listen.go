package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
)

const (
	channel = "xivo_edge"
	// heartbeat is how often a listening connection is tried: a server that
	// vanished without a word says nothing, and nothing is what a quiet one
	// says, too. Another heartbeat without an answer ends the listening.
	heartbeat = time.Second
)

// listen returns what tells the changes of the database that dsn names, over a
// connection of its own for as long as it runs.
func listen(dsn string) sqlstore.ListenFunc {
	return func(ctx context.Context, ready func() error, got func(store.Change)) error {
		notifications := make(chan *pq.Notification, 1024)
		conn, err := pq.NewListenerConn(dsn, notifications)
		if err != nil {
			return fmt.Errorf("%w: %w", errConnect, err)
		}
		defer func() { _ = conn.Close() }()
		if _, err := conn.Listen(channel); err != nil {
			return fmt.Errorf("%w: %w", errConnect, err)
		}
		if err := ready(); err != nil {
			return err
		}
		beat := time.NewTicker(heartbeat)
		defer beat.Stop()
		pinged := make(chan error, 1)
		waiting := false
		for {
			select {
			case n, open := <-notifications:
				if !open {
					return fmt.Errorf("%w: %w", errLost, errors.Join(conn.Err()))
				}
				if n != nil {
					kind, ids, _ := strings.Cut(n.Extra, " ")
					got(store.Change{Kind: store.ChangeKind(kind), IDs: strings.Fields(ids)})
				}
			case <-beat.C:
				if waiting {
					return fmt.Errorf("%w: no answer for %s", errLost, heartbeat)
				}
				waiting = true
				go func() { pinged <- conn.Ping() }()
			case err := <-pinged:
				if err != nil {
					return fmt.Errorf("%w: %w", errLost, err)
				}
				waiting = false
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// listenDSN completes dsn as [config] does, in the form in which the driver
// wants it for listening.
func listenDSN(dsn string, cfg pq.Config) string {
	extra := map[string]string{
		"sslmode":          string(cfg.SSLMode),
		"connect_timeout":  strconv.Itoa(int(max(cfg.ConnectTimeout, time.Second) / time.Second)),
		"application_name": cfg.ApplicationName,
	}
	if u, err := url.Parse(dsn); err == nil && strings.HasPrefix(u.Scheme, "postgres") {
		q := u.Query()
		for name, value := range extra {
			if value != "" && q.Get(name) == "" {
				q.Set(name, value)
			}
		}
		u.RawQuery = q.Encode()
		return u.String()
	}
	for name, value := range extra {
		if value != "" && !strings.Contains(dsn, name) {
			dsn += " " + name + "='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
		}
	}
	return dsn
}
