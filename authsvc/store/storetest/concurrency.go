package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var concurrencyCases = map[string]func(*testing.T, *bench){
	"AtOnce/DeleteToken":  testDeleteTokenAtOnce,
	"AtOnce/DeleteShared": testDeleteSharedAtOnce,
	"AtOnce/CreateUser":   testCreateUserAtOnce,
	"AtOnce/Everything":   testEverythingAtOnce,
}

// together runs f n times at once, alternating between two stores.
func (b *bench) together(n int, f func(i int, s store.Store)) {
	b.t.Helper()
	stores := []store.Store{b.Store, b.reopen(store.Options{Timeout: patience, MaxConns: 8}).Store}
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i, stores[i%len(stores)])
		})
	}
	close(start)
	wg.Wait()
}

func testDeleteTokenAtOnce(t *testing.T, b *bench) {
	for range 5 {
		tok := b.token("a", 1)
		var ok atomic.Int32
		b.together(8, func(_ int, s store.Store) {
			ended, err := s.DeleteToken(t.Context(), tok.UUID)
			switch {
			case err == nil && ended.SessionEnded:
				ok.Add(1)
			case err == nil:
				t.Errorf("the session stayed: %+v", ended)
			default:
				want(t, "DeleteToken", err, store.ErrNotFound)
			}
		})
		equal(t, "successful deletes", ok.Load(), 1)
		if b.hasSession(tok.SessionUUID) {
			t.Error("the session stayed")
		}
	}
}

// Two deletes that each see the other's token must not both leave the session.
func testDeleteSharedAtOnce(t *testing.T, b *bench) {
	for range 15 {
		first := b.token("a", 1)
		tokens := []string{first.UUID, b.sibling(first, "a", 1).UUID}
		var ended atomic.Int32
		b.together(len(tokens), func(i int, s store.Store) {
			e, err := s.DeleteToken(t.Context(), tokens[i])
			if err != nil {
				t.Errorf("DeleteToken: %v", err)
			}
			if e.SessionEnded {
				ended.Add(1)
			}
		})
		equal(t, "reports of the session's end", ended.Load(), 1)
		if b.hasSession(first.SessionUUID) {
			t.Error("the session outlived its tokens")
		}
	}
}

// One name, as username here and as address there.
func testCreateUserAtOnce(t *testing.T, b *bench) {
	for round := range 3 {
		name := fmt.Sprintf("Name%d@example.org", round)
		var ok atomic.Int32
		b.together(8, func(i int, s store.Store) {
			u := store.NewUser{User: store.User{Purpose: store.PurposeUser}}
			if i/2%2 == 0 {
				u.Username = name
			} else {
				u.Username, u.Email = fmt.Sprintf("user-%d-%d", round, i), name
			}
			switch _, err := s.CreateUser(t.Context(), u); {
			case err == nil:
				ok.Add(1)
			case !errors.Is(err, store.ErrConflict):
				t.Errorf("CreateUser: %v", err)
			}
		})
		equal(t, "owners of the name", ok.Load(), 1)
	}
	equal(t, "users", b.count(`select count(*) from auth_user`), 3)
}

// Logins, logouts, password changes and the purge of several nodes meet on
// the same rows. Nothing may fail, and every token ends once.
func testEverythingAtOnce(t *testing.T, b *bench) {
	const (
		workers = 8
		rounds  = 12
	)
	var (
		mu      sync.Mutex
		created = map[string]bool{}
		ended   = map[string]int{}
	)
	end := func(tokens ...store.EndedToken) {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range tokens {
			ended[e.UUID]++
		}
	}
	b.together(workers, func(i int, s store.Store) {
		user := fmt.Sprintf("user%d", i%3)
		for round := range rounds {
			tok := store.Token{UUID: newID(), AuthID: user, ExpiresAt: int64(round % 2 * 1000), ACL: []string{"#"}}
			mu.Lock()
			created[tok.UUID] = true
			mu.Unlock()
			if err := s.CreateToken(t.Context(), store.Session{UUID: newID(), TenantUUID: b.top}, tok); err != nil {
				t.Errorf("CreateToken: %v", err)
			}
			if _, err := s.Token(t.Context(), tok.UUID); err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("Token: %v", err)
			}
			switch (i + round) % 3 {
			case 0:
				e, err := s.DeleteToken(t.Context(), tok.UUID)
				if err == nil {
					end(e)
				} else {
					want(t, "DeleteToken", err, store.ErrNotFound)
				}
			case 1:
				e, err := s.DeleteUserSessions(t.Context(), user)
				must2(t, "DeleteUserSessions", err)
				end(e...)
			case 2:
				e, err := s.DeleteExpiredTokens(t.Context(), 500, 5)
				must2(t, "DeleteExpiredTokens", err)
				end(e...)
			}
		}
	})
	for i := range 3 {
		e, err := b.DeleteUserSessions(t.Context(), fmt.Sprintf("user%d", i))
		must(t, "DeleteUserSessions", err)
		end(e...)
	}
	for uuid, n := range ended {
		if n != 1 || !created[uuid] {
			t.Errorf("token %s ended %d times", uuid, n)
		}
	}
	equal(t, "tokens ended", len(ended), len(created))
	equal(t, "rows left", b.count(`select (select count(*) from auth_token) + (select count(*) from auth_session)`), 0)
}

// must2 is must for other goroutines than the test's, which cannot end it.
func must2(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}
