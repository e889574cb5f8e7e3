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
// connection of its own for as long as it runs. timeout bounds what it takes to
// begin, beyond the connect_timeout of dsn. newFence makes what notes the
// changes for a replica.
func listen(dsn string, timeout time.Duration, newFence func() *fence) sqlstore.ListenFunc {
	return func(ctx context.Context, l store.Listener) error {
		notifications := make(chan *pq.Notification, 1024)
		conn, err := pq.NewListenerConn(dsn, notifications)
		if err != nil {
			return fmt.Errorf("%w: %w", errConnect, err)
		}
		defer func() {
			_ = conn.Close()
			for range notifications { // the driver is not to wait for a reader
			}
		}()
		if err := begin(ctx, conn, timeout); err != nil {
			return fmt.Errorf("%w: %w", errConnect, err)
		}
		if err := l.Ready(); err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		f := newFence()
		defer f.end()
		f.write(ctx)
		beat := time.NewTicker(heartbeat)
		defer beat.Stop()
		answers := make(chan error, 1)
		var asked time.Time // when the heartbeat without an answer was sent
		for {
			select {
			case n, open := <-notifications:
				if !open {
					return fmt.Errorf("%w: %w", errLost, errors.Join(conn.Err()))
				}
				tell(l, f, n)
			case <-beat.C:
				if !asked.IsZero() {
					return fmt.Errorf("%w: no answer for %s", errLost, heartbeat)
				}
				f.write(ctx)
				asked = time.Now()
				go func() { answers <- ping(conn) }()
			case err := <-answers:
				if err != nil {
					return fmt.Errorf("%w: %w", errLost, err)
				}
				// The server sends what it has to notify before it says that
				// it is ready again, and the driver keeps that order: what
				// was committed before it was asked is here.
				for waiting := len(notifications); waiting > 0; waiting-- {
					tell(l, f, <-notifications)
				}
				f.alive(asked)
				l.Alive(time.Since(asked))
				asked = time.Time{}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// begin has conn listen. The driver would wait for ever for an answer that a
// network swallowed, so the connection is closed under it.
func begin(ctx context.Context, conn *pq.ListenerConn, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_, err := conn.Listen(channel)
	return errors.Join(err, ctx.Err())
}

// ping is the driver's, which panics when somebody cancels the statement.
func ping(conn *pq.ListenerConn) error {
	_, err := conn.ExecSimpleQuery("")
	return err
}

// tell passes on a notification; nil, or one of a closed channel, is none.
func tell(l store.Listener, f *fence, n *pq.Notification) {
	if n == nil {
		return
	}
	told := parseNotice(n.Extra)
	f.hear(told)
	if told.Kind != kindFence {
		l.Changed(told.Change)
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
