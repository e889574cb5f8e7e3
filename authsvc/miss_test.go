package authsvc_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// countingStore counts how often tokens are looked up, and holds that up while
// there is a gate.
type countingStore struct {
	store.Store
	reads atomic.Int64
	gate  atomic.Pointer[chan struct{}]
}

func (c *countingStore) Token(ctx context.Context, id string) (store.Token, error) {
	c.reads.Add(1)
	if gate := c.gate.Load(); gate != nil {
		<-*gate
	}
	return c.Store.Token(ctx, id)
}

// rowStore has one token and nothing else.
type rowStore struct {
	store.Store
	row store.Token
}

func (r rowStore) Token(_ context.Context, id string) (store.Token, error) {
	if id != r.row.UUID {
		return store.Token{}, store.ErrNotFound
	}
	return r.row, nil
}

func (rowStore) Close() error { return nil }

// TestMiss_OneQueryForAll: 10 000 requests at once with a token that no memory
// holds make exactly one query, whether there is such a token or not.
func TestMiss_OneQueryForAll(t *testing.T) {
	t.Parallel()
	const requests = 10_000
	known := uuid.NewString()
	for _, c := range []struct {
		name, token string
		want        guard.Verdict
		then        grant.State // of the next request
	}{
		{"a token", known, guard.Allow, grant.Hit},
		{"no token", uuid.NewString(), guard.Unauthenticated, grant.Negative},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				st := &countingStore{Store: rowStore{row: store.Token{
					UUID: known, AuthID: uuid.NewString(), SessionUUID: uuid.NewString(),
					IssuedAt: time.Now().Unix(), ExpiresAt: time.Now().Add(time.Hour).Unix(), ACL: []string{modelAccess},
				}}}
				svc, err := authsvc.New(authsvc.Config{Store: st, Feed: authsvc.Feed{Off: true}, Cache: cache.Config{Grants: 1000}},
					authsvc.Settings{CleanupInterval: -1})
				if err != nil {
					t.Fatal(err)
				}
				gate := make(chan struct{})
				st.gate.Store(&gate)
				var wanted, missed atomic.Int64
				for range requests {
					go func() {
						d := decide(svc, c.token, "")
						if d.Verdict == c.want {
							wanted.Add(1)
						}
						if d.State == grant.Miss {
							missed.Add(1)
						}
					}()
				}
				synctest.Wait() // all of them wait for the one who reads
				close(gate)
				synctest.Wait()
				if st.reads.Load() != 1 || wanted.Load() != requests || missed.Load() != requests {
					t.Errorf("%d queries; of %d requests %d were answered right and %d missed", st.reads.Load(), requests, wanted.Load(), missed.Load())
				}
				if d := decide(svc, c.token, ""); d.Verdict != c.want || d.State != c.then || st.reads.Load() != 1 {
					t.Errorf("and then: %v %v, %d queries", d.Verdict, d.State, st.reads.Load())
				}
				if err := svc.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
