package authsvc_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/password"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// crowd is a world with many users at once: a goroutine for each takes steps
// that concern him alone, so that what becomes of his tokens is certain, while
// others use everybody's tokens all the time.
type crowd struct {
	*world
	mu    sync.Mutex
	all   []*crowdToken
	asked atomic.Int64 // requests; each is from an address of its own
}

// crowdToken is a token and what its owner knows of it. revoking is set before
// the operation that revokes it begins, revoked when that has returned.
type crowdToken struct {
	*modelToken
	revoking, revoked atomic.Bool
}

// member is one user with what he has.
type member struct {
	crowd   *crowd
	user    *modelUser
	mine    *model
	tokens  map[*modelToken]*crowdToken
	random  *rand.Rand
	changed int
}

func (m *member) serve(method, path, body string, headers ...header) (int, tokenData, error) {
	rec := serveOne(m.crowd.ctx, m.crowd.svc, method, path, body, address(int(m.crowd.asked.Add(1))), headers...)
	if rec.Code != 200 || method != "POST" {
		return rec.Code, tokenData{}, nil
	}
	got, err := readToken(rec)
	return rec.Code, got, err
}

// login logs in; a mobile offline login ends tokens.
func (m *member) login(a attempt) error {
	if m.random.IntN(8) == 0 && a.refresh == nil {
		a.password += "?"
	}
	u, want := m.mine.outcome(a)
	var going []*modelToken
	var replaced []*modelRefresh
	if want == 200 && a.offline && a.mobile {
		replaced, going = m.mine.replaced(u, a.client)
	}
	return m.revoking(going, func() error {
		body, headers := a.request()
		code, got, err := m.serve("POST", "/0.1/token", body, headers...)
		if err != nil || code != want {
			return fmt.Errorf("login of %s: %d, %v; want %d", u.name, code, err, want)
		}
		if code != 200 {
			return nil
		}
		for _, r := range replaced {
			m.mine.forget(r)
		}
		t := &modelToken{uuid: got.Token, session: got.SessionUUID, user: u, tenant: u.tenant, refresh: a.refresh}
		if a.offline {
			if t.refresh = m.mine.refreshOf(u, a.client); t.refresh == nil {
				t.refresh = &modelRefresh{uuid: *got.RefreshToken, client: a.client, user: u, mobile: a.mobile}
				m.mine.refresh = append(m.mine.refresh, t.refresh)
			}
		}
		m.mine.tokens = append(m.mine.tokens, t)
		ct := &crowdToken{modelToken: t}
		m.tokens[t] = ct
		m.crowd.mu.Lock()
		defer m.crowd.mu.Unlock()
		m.crowd.all = append(m.crowd.all, ct)
		return nil
	})
}

// revoking runs an operation that ends these tokens.
func (m *member) revoking(going []*modelToken, op func() error) error {
	for _, t := range going {
		m.tokens[t].revoking.Store(true)
	}
	if err := op(); err != nil {
		return err
	}
	for _, t := range going {
		m.tokens[t].revoked.Store(true)
	}
	end(going)
	for _, t := range going { // the very next request, from here
		if err := m.crowd.use(m.tokens[t], m.random.IntN(len(uses))); err != nil {
			return err
		}
	}
	m.changed += len(going)
	return nil
}

// act takes one random step.
func (m *member) act() error {
	u, svc, ctx := m.user, m.crowd.svc, m.crowd.ctx
	client := clients[m.random.IntN(len(clients))]
	held := m.mine.ofUser(u)
	var one []*modelToken
	if len(held) > 0 {
		one = []*modelToken{held[m.random.IntN(len(held))]}
	}
	answers := func(want int, method, path string, headers ...header) func() error {
		return func() error {
			if code, _, err := m.serve(method, path, "", headers...); err != nil || code != want {
				return fmt.Errorf("%s %s: %d, %v", method, path, code, err)
			}
			return nil
		}
	}
	switch n := m.random.IntN(40); {
	case n < 8:
		return m.login(attempt{user: u, password: u.password, expiration: tenYears / 10})
	case n < 13:
		return m.login(attempt{user: u, password: u.password, offline: true, client: client, expiration: tenYears / 10})
	case n < 18:
		return m.login(attempt{user: u, password: u.password, offline: true, mobile: true, client: client, expiration: tenYears / 10})
	case n < 25:
		if r := m.mine.refreshOf(u, client); r != nil {
			return m.login(attempt{refresh: r, client: client, expiration: tenYears / 10})
		}
		return nil
	case n < 29 && one != nil:
		return m.revoking(one, answers(200, "DELETE", "/0.1/token/"+one[0].uuid))
	case n < 32 && one != nil:
		return m.revoking(one, answers(204, "DELETE", "/0.1/sessions/"+one[0].session, token(m.crowd.admin[0])))
	case n < 34 && one != nil:
		return m.revoking(one, answers(204, "DELETE", "/0.1/users/me/sessions/"+one[0].session, token(one[0])))
	case n < 36:
		if r := m.mine.refreshOf(u, client); r != nil {
			m.mine.forget(r)
			return answers(204, "DELETE", "/0.1/users/"+u.uuid+"/tokens/"+client, token(m.crowd.admin[0]))()
		}
		return nil
	case n < 37:
		u.password = fmt.Sprintf("password %d", m.changed)
		return m.revoking(held, func() error {
			n, err := svc.Users.SetPassword(ctx, u.name, u.password)
			for errors.Is(err, password.ErrBusy) { // others hash, and nothing has happened
				n, err = svc.Users.SetPassword(ctx, u.name, u.password)
			}
			m.crowd.remember(u)
			return ended("SetPassword", n, err, len(held))
		})
	case n < 38:
		if !u.enabled {
			return nil
		}
		u.enabled = false
		return m.revoking(held, func() error {
			n, err := svc.Users.SetEnabled(ctx, u.uuid, false)
			return ended("SetEnabled", n, err, len(held))
		})
	default:
		u.enabled = true
		n, err := svc.Users.SetEnabled(ctx, u.uuid, true)
		return ended("SetEnabled", n, err, 0)
	}
}

// uses are ways to use a token; each tells whether it was accepted.
var uses = []func(c *crowd, t *crowdToken) (bool, error){
	func(c *crowd, t *crowdToken) (bool, error) {
		d := c.svc.Decide(c.ctx, scopePolicy(modelAccess), guard.Request{Method: "GET", Target: "/", Tokens: []string{t.uuid}, Tenants: []string{t.tenant}})
		if d.Verdict != guard.Allow && d.Reason != guard.UnknownToken {
			return false, fmt.Errorf("guard: %s, %s, %w", d.Verdict, d.Reason, d.Err)
		}
		return d.Verdict == guard.Allow, nil
	},
	accepting(204, 404, "HEAD", func(t *crowdToken) (string, []header) { return "/0.1/token/" + t.uuid, nil }),
	accepting(200, 404, "GET", func(t *crowdToken) (string, []header) { return "/0.1/token/" + t.uuid, nil }),
	accepting(200, 401, "GET", func(t *crowdToken) (string, []header) {
		return "/0.1/users/me/sessions?limit=0", []header{token(t.modelToken)}
	}),
}

func accepting(yes, no int, method string, of func(*crowdToken) (string, []header)) func(*crowd, *crowdToken) (bool, error) {
	return func(c *crowd, t *crowdToken) (bool, error) {
		path, headers := of(t)
		rec := serveOne(c.ctx, c.svc, method, path, "", "10.0.0.1", headers...)
		if rec.Code != yes && rec.Code != no {
			return false, fmt.Errorf("%s %s: %d %s", method, path, rec.Code, rec.Body)
		}
		return rec.Code == yes, nil
	}
}

// use uses a token and compares that with what its owner knew before and
// after.
func (c *crowd) use(t *crowdToken, how int) error {
	before := t.revoked.Load()
	accepted, err := uses[how](c, t)
	after := t.revoking.Load()
	switch {
	case err != nil:
		return err
	case accepted && before:
		return fmt.Errorf("use %d of a token of %s was accepted, and the operation that revoked it had returned", how, t.user.name)
	case !accepted && !after:
		return fmt.Errorf("use %d of a good token of %s was refused", how, t.user.name)
	}
	return nil
}

// hammer uses random tokens, rather the youngest, until it is told to stop.
func (c *crowd) hammer(random *rand.Rand, stop *atomic.Bool, used *atomic.Int64) error {
	for !stop.Load() {
		c.mu.Lock()
		n := len(c.all)
		var t *crowdToken
		if n > 0 {
			t = c.all[n-1-min(random.IntN(n), random.IntN(20))]
		}
		c.mu.Unlock()
		if t == nil {
			time.Sleep(time.Millisecond)
			continue
		}
		how := 0
		if k := random.IntN(32); k < 12 {
			how = 1 + k/6
		} else if k == 31 {
			how = 3 // the only one that always reads the store
		}
		if err := c.use(t, how); err != nil {
			return err
		}
		used.Add(1)
	}
	return nil
}

func TestModel_Concurrent(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		w, err := sqliteWorld(t, false, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		runCrowd(t, w, 20**times)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		w, err := postgresWorld(t, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		runCrowd(t, w, 20**times)
	})
}

func runCrowd(t *testing.T, w *world, steps int) {
	t.Helper()
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	c := &crowd{world: w}
	var (
		members  []*member
		owners   sync.WaitGroup
		others   sync.WaitGroup
		stop     atomic.Bool
		used     atomic.Int64
		problems = make(chan error, 64)
	)
	for i := range 6 {
		u := &modelUser{name: fmt.Sprintf("member %d", i), tenant: w.f.acme, purpose: store.PurposeUser, enabled: true, password: modelPassword}
		var err error
		if u.uuid, err = createUser(w.ctx, w.st, *u); err != nil {
			t.Fatal(err)
		}
		w.remember(u)
		members = append(members, &member{
			crowd: c, user: u, mine: &model{limit: w.limit}, tokens: map[*modelToken]*crowdToken{},
			random: rand.New(rand.NewPCG(uint64(i), 4)),
		})
	}
	for i := range 2 {
		others.Go(func() {
			if err := c.hammer(rand.New(rand.NewPCG(uint64(i), 5)), &stop, &used); err != nil {
				problems <- err
			}
		})
	}
	others.Go(func() { // time passes, so that grants are read again; nothing expires
		for !stop.Load() {
			w.clock.Advance(time.Minute)
			if n, err := w.svc.PurgeExpired(w.ctx); err != nil || n != 0 {
				problems <- fmt.Errorf("the purge: %d, %w", n, err)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	for i, m := range members {
		owners.Go(func() {
			for n := range steps {
				if err := m.act(); err != nil {
					problems <- fmt.Errorf("member %d, step %d: %w", i, n, err)
					return
				}
			}
		})
	}
	owners.Wait()
	stop.Store(true)
	others.Wait()
	close(problems)
	for err := range problems {
		t.Error(err)
	}

	// In the end all is as if nobody else had been there.
	var revoked int
	w.now = w.clock.Now()
	for _, m := range members {
		w.users = append(w.users, m.user)
		revoked += m.changed
		want := 0
		for _, token := range m.mine.tokens {
			if _, err := w.st.Token(context.WithoutCancel(w.ctx), token.uuid); (err == nil) == token.gone {
				t.Errorf("a token of %s that is gone=%t: %v", m.user.name, token.gone, err)
			}
			if !token.gone {
				want++
			}
			if err := c.use(m.tokens[token], 1); err != nil {
				t.Error(err)
			}
		}
		l, _, err := w.list("/0.1/users/"+m.user.uuid+"/sessions", token(w.admin[0]))
		if err != nil || l.Total != want {
			t.Errorf("%s has %d sessions, %v; want %d", m.user.name, l.Total, err, want)
		}
		l, _, err = w.list("/0.1/users/"+m.user.uuid+"/tokens", token(w.admin[0]))
		if want := len(m.mine.kept(func(*modelRefresh) bool { return true })); err != nil || l.Total != want {
			t.Errorf("%s has %d refresh tokens, %v; want %d", m.user.name, l.Total, err, want)
		}
	}
	t.Logf("%d tokens, %d of them revoked, used %d times meanwhile", len(c.all), revoked, used.Load())
}
