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
// begin, beyond the connect_timeout of dsn. newEcho makes what finds out whether
// that connection hears, newFence what notes the changes for a replica.
func listen(dsn string, timeout time.Duration, newEcho func() *echo, newFence func() *fence) sqlstore.ListenFunc {
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
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		e := ears{l: l, ctx: ctx, conn: conn, notifications: notifications, echo: newEcho(), fence: newFence()}
		defer e.fence.end()
		return e.run()
	}
}

// ears are one connection that listens.
type ears struct {
	l             store.Listener
	ctx           context.Context // of listening
	conn          *pq.ListenerConn
	notifications <-chan *pq.Notification
	echo          *echo
	fence         *fence
	ready         bool
	early         []store.Change // heard before that
}

func (e *ears) run() error {
	e.echo.call(e.ctx)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	answers := make(chan error, 1)
	var asked time.Time // when the heartbeat without an answer was sent
	for {
		select {
		case n, open := <-e.notifications:
			if !open {
				return fmt.Errorf("%w: %w", errLost, errors.Join(e.conn.Err()))
			}
			if err := e.tell(n); err != nil {
				return err
			}
		case err := <-e.echo.results:
			if err := e.echo.result(err); err != nil {
				return err
			}
		case now := <-beat.C:
			if !asked.IsZero() {
				return fmt.Errorf("%w: no answer for %s", errLost, heartbeat)
			}
			if !e.echo.due(now) {
				continue
			}
			if e.ready {
				e.fence.write(e.ctx)
			}
			e.echo.call(e.ctx)
			asked = time.Now()
			go func() { answers <- ping(e.conn) }()
		case err := <-answers:
			if err != nil {
				return fmt.Errorf("%w: %w", errLost, err)
			}
			// The server sends what it has to notify before it says that
			// it is ready again, and the driver keeps that order: what
			// was committed before it was asked is here.
			for waiting := len(e.notifications); waiting > 0; waiting-- {
				if err := e.tell(<-e.notifications); err != nil {
					return err
				}
			}
			if e.echo.missing(asked) {
				return fmt.Errorf("%w: %w", errConnect, errDeaf)
			}
			if e.ready {
				e.fence.alive(asked)
				e.l.Alive(since(asked))
			}
			asked = time.Time{}
		case <-e.ctx.Done():
			return e.ctx.Err()
		}
	}
}

// tell passes on a notification; nil, or one of a closed channel, is none. What
// is heard before our echo waits for it.
func (e *ears) tell(n *pq.Notification) error {
	if n == nil {
		return nil
	}
	told := parseNotice(n.Extra)
	e.echo.hear(told)
	e.fence.hear(told)
	switch {
	case told.Kind == kindFence:
	case e.ready:
		e.l.Changed(told.Change)
	default:
		e.early = append(e.early, told.Change)
	}
	if e.ready || !e.echo.heard() {
		return nil
	}
	if err := e.l.Ready(); err != nil {
		return err
	}
	e.ready = true
	for _, c := range e.early {
		e.l.Changed(c)
	}
	e.early = nil
	e.fence.write(e.ctx)
	return nil
}

// since is how long ago t was, by whichever clock says longer: the monotonic one
// sleeps with a machine that is suspended, and what was committed meanwhile was
// not heard.
func since(t time.Time) time.Duration {
	now := time.Now()
	return max(now.Sub(t), now.Round(0).Sub(t.Round(0)))
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
