package chaos

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// take removes a valid token from the stock: from now on it is to be ended.
func (w *world) take(rng *rand.Rand) (Token, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.valid) < stock/4 {
		return Token{}, false
	}
	i := rng.IntN(len(w.valid))
	t := w.valid[i]
	w.valid = append(w.valid[:i], w.valid[i+1:]...)
	return t, true
}

// revoke ends tokens in all ways, on any node, one in so long.
func (w *world) revoke(ctx context.Context, stream uint64, every time.Duration) {
	for rng := w.rng(stream); pause(ctx, rng, every); {
		t, ok := w.take(rng)
		if !ok {
			continue
		}
		if rng.IntN(10) > 0 {
			w.warm(t)
		}
		var r Revocation
		switch rng.IntN(4) {
		case 0:
			r = w.bySQL(ctx, t, `delete from auth_token where uuid = $1`, t.ID)
		case 1:
			r = w.bySQL(ctx, t, `delete from auth_session where uuid = $1`, t.Session)
		default:
			r = w.byAPI(w.nodes[rng.IntN(len(w.nodes))], t)
		}
		w.after(t, r)
	}
}

// warm has every node hold the token in memory, if it can.
func (w *world) warm(t Token) {
	w.everywhere(func(n *node) {
		for i := range 3 {
			w.check(n, t.ID, i%2 == 0)
		}
	})
}

func (w *world) everywhere(f func(*node)) {
	var all sync.WaitGroup
	for _, n := range w.nodes {
		all.Go(func() { f(n) })
	}
	all.Wait()
}

func (w *world) bySQL(ctx context.Context, t Token, query, arg string) Revocation {
	r := Revocation{Node: Database, Token: t.ID, Begin: w.Now()}
	_, err := w.db.DB().ExecContext(ctx, query, arg)
	r.End, r.Acked = w.Now(), err == nil
	w.Revoked(r)
	return r
}

func (w *world) byAPI(n *node, t Token) Revocation {
	req, _ := http.NewRequest(http.MethodDelete, "http://"+n.api+"/0.1/token/"+t.ID, nil)
	r := Revocation{Node: n.i, Token: t.ID, Begin: w.Now()}
	resp, err := w.client.Do(req)
	r.End = w.Now()
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		r.Acked = resp.StatusCode == http.StatusOK
	}
	w.Revoked(r)
	return r
}

// after finds out what became of a revocation without an answer, and when the
// nodes refuse the token.
func (w *world) after(t Token, r Revocation) {
	w.mu.Lock()
	w.ended = last(append(w.ended, t), recent)
	w.mu.Unlock()
	if !r.Acked && !w.found(t, r) {
		return
	}
	w.everywhere(func(n *node) {
		wait := 2 * time.Millisecond
		for deadline := time.Now().Add(6 * time.Second); w.check(n, t.ID, true) != Refused && time.Now().Before(deadline); {
			time.Sleep(wait)
			wait = min(wait*5/4, 50*time.Millisecond)
		}
	})
}

// found asks the database: what is gone was committed before.
func (w *world) found(t Token, r Revocation) (gone bool) {
	for range 20 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		gone := w.gone(ctx, t.ID)
		cancel()
		if gone {
			w.Revoked(Revocation{Node: Database, Token: t.ID, Begin: r.Begin, End: w.Now(), Acked: true})
			return true
		}
		time.Sleep(100 * time.Millisecond) // also when it is there: a statement may be under way
	}
	return false
}

// gone reports whether the database says that it does not have the token.
func (w *world) gone(ctx context.Context, token string) bool {
	var one int
	err := w.db.DB().QueryRowContext(ctx, `select 1 from auth_token where uuid = $1`, token).Scan(&one)
	return errors.Is(err, sql.ErrNoRows)
}
