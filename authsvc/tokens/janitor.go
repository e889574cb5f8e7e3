package tokens

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Janitor removes expired tokens and their sessions. Several nodes may run one
// over the same database: each row is removed by one of them.
type Janitor struct {
	Store store.Tokens
	Now   func() time.Time
	// StoreClock has the store's clock say, too, that a token has expired, and
	// not only Now: a node whose clock runs ahead must not remove what is valid
	// everywhere else.
	StoreClock bool
	// Interval between two purges, and Batch, the most rows one transaction
	// removes. The contract's defaults are 60 s and 5000.
	Interval time.Duration
	Batch    int
	Log      *slog.Logger
}

// Run purges every Interval until ctx is done. An interval under a second
// means never, as on the reference.
func (j Janitor) Run(ctx context.Context) {
	if j.Interval < time.Second {
		return
	}
	tick := time.NewTicker(j.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if _, err := j.Purge(ctx); err != nil && ctx.Err() == nil {
				j.Log.LogAttrs(ctx, slog.LevelWarn, "removing expired tokens failed, trying again later", slog.Any("error", err))
			}
		}
	}
}

// Purge removes what has expired by now, batch after batch, and returns how
// many tokens that were.
func (j Janitor) Purge(ctx context.Context) (removed int, err error) {
	now := j.Now().Unix()
	if j.StoreClock {
		clock, err := j.Store.Clock(ctx)
		if err != nil {
			return 0, fmt.Errorf("removing expired tokens: %w", err)
		}
		now = min(now, clock.Unix())
	}
	for {
		ended, err := j.Store.DeleteExpiredTokens(ctx, now, j.Batch)
		if err != nil {
			return removed, fmt.Errorf("removing expired tokens: %w", err)
		}
		removed += len(ended)
		if len(ended) == 0 || len(ended) < j.Batch {
			if removed > 0 {
				j.Log.LogAttrs(ctx, slog.LevelInfo, "removed expired tokens", slog.Int("tokens", removed))
			}
			return removed, nil
		}
	}
}
