package authsvc_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// step is one operation: which, on what, and how. Any three bytes are one, and
// the same in every order, so that sequences can be fuzzed and shrunk.
type step struct{ op, on, how byte }

// stepSize is how many bytes a step is read from.
const stepSize = 3

func readSteps(data []byte, most int) (steps []step) {
	for len(data) >= stepSize && len(steps) < most {
		steps = append(steps, step{data[0], data[1], data[2]})
		data = data[stepSize:]
	}
	return steps
}

func writeSteps(steps []step) (data []byte) {
	for _, s := range steps {
		data = append(data, s.op, s.on, s.how)
	}
	return data
}

// operation is what a step can be; weight is how often it is.
type operation struct {
	name   string
	weight int
	run    func(w *world, on, how int) error
}

var operations = []operation{
	{"online login", 5, (*world).onlineLogin},
	{"offline login", 6, (*world).offlineLogin},
	{"mobile offline login", 6, (*world).mobileLogin},
	{"refresh login", 7, (*world).refreshLogin},
	{"stale refresh login", 2, (*world).staleRefreshLogin},
	{"wrong password", 1, (*world).wrongPassword},
	{"internal token", 1, (*world).internalToken},
	{"token DELETE", 4, (*world).deleteToken},
	{"session DELETE", 3, (*world).deleteSession},
	{"session DELETE by an equal", 3, (*world).deleteSessionOfSelf},
	{"refresh token DELETE", 3, (*world).deleteRefresh},
	{"refresh token DELETE by its user", 2, (*world).deleteRefreshOfSelf},
	{"password", 1, (*world).setPassword},
	{"disable", 2, (*world).disable},
	{"enable", 3, (*world).enable},
	{"delete user", 1, (*world).deleteUser},
	{"create user", 2, (*world).createUser},
	{"clock, a little", 3, (*world).clockLittle},
	{"clock, to an expiry", 5, (*world).clockExpiry},
	{"clock, past max_age", 2, (*world).clockMaxAge},
	{"purge", 3, (*world).purgeExpired},
	{"restart", 1, (*world).restart},
}

// wheel holds the index of each operation as often as it weighs.
var wheel = func() (w []int) {
	for i, op := range operations {
		for range op.weight {
			w = append(w, i)
		}
	}
	return w
}()

// named is a step of that operation.
func named(op string, on, how byte) step {
	for i, at := range wheel {
		if operations[at].name == op {
			return step{byte(i), on, how}
		}
	}
	panic("no operation " + op)
}

// do takes one step and compares everything.
func (w *world) do(s step) error {
	op := operations[wheel[int(s.op)%len(wheel)]]
	w.trace = append(w.trace, op.name)
	w.counts[op.name]++
	w.steps++
	err := op.run(w, int(s.on), int(s.how))
	if err == nil {
		err = w.check(false)
	}
	if err != nil {
		return fmt.Errorf("step %d, %s: %w", w.steps, w.trace[len(w.trace)-1], err)
	}
	return nil
}

// note tells more about the step in the trace.
func (w *world) note(format string, args ...any) {
	w.trace[len(w.trace)-1] += " " + fmt.Sprintf(format, args...)
}

// person picks a user of the model who is no administrator.
func (w *world) person(n int) *modelUser {
	u := w.users[len(w.admin)+n%(len(w.users)-len(w.admin))]
	w.note("%s", u.name)
	return u
}

// someToken picks a token of anybody but the administrators, in whatever
// state; nil when there never was one.
func (w *world) someToken(n int) *modelToken {
	if len(w.tokens) == len(w.admin) {
		return nil
	}
	// Rather one of the youngest, which are the good ones.
	i := len(w.tokens) - 1 - min(n%12, n%(len(w.tokens)-len(w.admin)))
	w.note("token %d (%s)", i, w.tokens[i].describe(w.model))
	return w.tokens[i]
}

func (w *world) someRefresh(n int, gone bool) *modelRefresh {
	var list []*modelRefresh
	for _, r := range w.refresh {
		if r.gone == gone {
			list = append(list, r)
		}
	}
	if len(list) == 0 {
		return nil
	}
	r := list[n%len(list)]
	w.note("refresh token of %s for %s", r.user.name, r.client)
	return r
}

// unknown is a uuid that is nothing's, and stays so.
func (w *world) unknown() string {
	id := uuid.NewString()
	w.stillborn = append(w.stillborn, id)
	return id
}

var (
	lifetimes = [...]int64{0, 1, 2, 60, 600, 7200, 86400, 0}
	clients   = [...]string{"web", "app", "Phone"}
)

func (w *world) try(a attempt) error {
	a.expiration = lifetimes[a.expiration%int64(len(lifetimes))]
	w.note("client=%q mobile=%t expiration=%d", a.client, a.mobile, a.expiration)
	return w.login(a)
}

func (w *world) onlineLogin(on, how int) error {
	u := w.account(on)
	return w.try(attempt{user: u, password: u.password, expiration: int64(how), mobile: how&8 != 0})
}

func (w *world) offlineLogin(on, how int) error {
	u := w.account(on)
	return w.try(attempt{user: u, password: u.password, offline: true, client: clients[how/8%len(clients)], expiration: int64(how)})
}

func (w *world) mobileLogin(on, how int) error {
	u := w.account(on)
	return w.try(attempt{user: u, password: u.password, offline: true, mobile: true, client: clients[how/8%len(clients)], expiration: int64(how)})
}

func (w *world) refreshLogin(on, how int) error {
	r := w.someRefresh(on, false)
	if r == nil {
		return nil
	}
	client := r.client
	if how/16%8 == 0 {
		client = "other"
	}
	return w.try(attempt{refresh: r, client: client, mobile: how&8 != 0, expiration: int64(how)})
}

func (w *world) staleRefreshLogin(on, how int) error {
	r := w.someRefresh(on, true)
	if r == nil {
		r = &modelRefresh{uuid: w.unknown(), client: "web", user: w.users[0], gone: true}
	}
	return w.try(attempt{refresh: r, client: r.client, expiration: int64(how)})
}

func (w *world) wrongPassword(on, how int) error {
	u := w.account(on)
	return w.try(attempt{user: u, password: u.password + "?", expiration: int64(how)})
}

func (w *world) internalToken(_, how int) error {
	return w.internal(max(1, lifetimes[how%len(lifetimes)]))
}

func (w *world) deleteToken(on, how int) error {
	id, t := w.unknown(), w.someToken(on)
	if t != nil && how%8 != 0 {
		id = t.uuid
		t.gone = true
	}
	if how%3 == 0 {
		id = strings.ToUpper(id)
	}
	rec := w.request("DELETE", "/0.1/token/"+id, "")
	if rec.Code != 200 {
		return fmt.Errorf("%d %s", rec.Code, rec.Body)
	}
	return says(rec, `{"data": {"message": "success"}}`)
}

// endSession asks for the end of a session and tells whether it was seen.
func (w *world) endSession(path, tenant string, t *modelToken, want int, headers ...header) error {
	id := uuid.NewString()
	if t != nil {
		id = t.session
		if want == 204 && w.below(tenant, t.tenant) {
			w.note("which is seen")
			t.gone = true
		}
	}
	rec := w.request("DELETE", path+id, "", headers...)
	if rec.Code != want {
		return fmt.Errorf("%d %s, want %d", rec.Code, rec.Body, want)
	}
	return nil
}

// deleteSession is one by an administrator, in a tenant that the session may
// not be of.
func (w *world) deleteSession(on, how int) error {
	t := w.someToken(on)
	if how%8 == 0 {
		t = nil
	}
	by := w.admin[how/8%2]
	tenants := []string{w.f.top, w.f.acme, w.f.child, w.f.other}
	tenant := tenants[how/16%len(tenants)]
	if !w.below(by.user.tenant, tenant) {
		w.note("in a tenant that %s may not act in", by.user.name)
		return w.endSession("/0.1/sessions/", tenant, t, 401, token(by), header{"Wazo-Tenant", tenant})
	}
	return w.endSession("/0.1/sessions/", tenant, t, 204, token(by), header{"Wazo-Tenant", tenant})
}

// deleteSessionOfSelf is one by whoever has a token: of any session in his
// tenant and below, as on the reference.
func (w *world) deleteSessionOfSelf(on, how int) error {
	by, t := w.someToken(on), w.someToken(on+how%3)
	switch {
	case by == nil:
		return nil
	case by.user == nil: // who has no user has no self, and not the access
		return w.endSession("/0.1/users/me/sessions/", "", t, 401, token(by))
	}
	want := status(w.good(by), 204, 401)
	return w.endSession("/0.1/users/me/sessions/", by.user.tenant, t, want, token(by))
}

func (w *world) deleteRefresh(on, how int) error {
	u, client, by := w.person(on), clients[how%len(clients)], w.admin[how/4%4/3]
	if r := w.someRefresh(on, false); r != nil && how&32 == 0 {
		u, client = r.user, r.client
	}
	r := w.refreshOf(u, client)
	want := status(r != nil && w.below(by.user.tenant, u.tenant), 204, 404)
	w.note("by %s of %s for %s: %d", by.user.name, u.name, client, want)
	if want == 204 {
		w.forget(r)
	}
	rec := w.request("DELETE", "/0.1/users/"+u.uuid+"/tokens/"+client, "", token(by))
	if rec.Code != want {
		return fmt.Errorf("%d %s, want %d", rec.Code, rec.Body, want)
	}
	return nil
}

func (w *world) deleteRefreshOfSelf(on, how int) error {
	by, client := w.someToken(on), clients[how%len(clients)]
	if by == nil {
		return nil
	}
	want := 401
	if w.good(by) && by.user != nil {
		r := w.refreshOf(by.user, client)
		if want = status(r != nil, 204, 404); r != nil {
			w.forget(r)
		}
	}
	w.note("for %s: %d", client, want)
	rec := w.request("DELETE", "/0.1/users/me/tokens/"+client, "", token(by))
	if rec.Code != want {
		return fmt.Errorf("%d %s, want %d", rec.Code, rec.Body, want)
	}
	return nil
}

func (w *world) setPassword(on, _ int) error {
	u := w.account(on)
	pass := fmt.Sprintf("password %d", w.steps)
	n, err := w.svc.Users.SetPassword(w.ctx, u.name, pass)
	if u.gone {
		return missing(err)
	}
	list := w.ofUser(u)
	end(list)
	u.password = pass
	w.remember(u)
	return ended("SetPassword", n, err, len(list))
}

// account picks whom the name of a person means: his heir when he is gone.
func (w *world) account(n int) *modelUser {
	u := w.person(n)
	if heir := w.heir(u); heir != nil {
		return heir
	}
	return u
}

// heir is who has the name of a user now.
func (w *world) heir(u *modelUser) *modelUser {
	for _, other := range w.users {
		if other.name == u.name && !other.gone {
			return other
		}
	}
	return nil
}

func missing(err error) error {
	if !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("%w, want not found", err)
	}
	return nil
}

func (w *world) disable(on, _ int) error { return w.enabled(w.person(on), false) }
func (w *world) enable(on, _ int) error  { return w.enabled(w.person(on), true) }

func (w *world) enabled(u *modelUser, enabled bool) error {
	n, err := w.svc.Users.SetEnabled(w.ctx, u.uuid, enabled)
	if u.gone {
		return missing(err)
	}
	u.enabled = enabled
	var list []*modelToken
	if !enabled {
		list = w.ofUser(u)
		end(list)
	}
	return ended("SetEnabled", n, err, len(list))
}

func (w *world) deleteUser(on, how int) error {
	u := w.person(on)
	if how%2 == 0 { // otherwise too few would be left
		return w.enabled(u, !u.enabled)
	}
	n, err := w.svc.Users.Delete(w.ctx, u.uuid)
	if u.gone {
		return missing(err)
	}
	list := w.ofUser(u)
	w.drop(u)
	return ended("Delete", n, err, len(list))
}

// createUser has somebody take the name of a user who was deleted.
func (w *world) createUser(on, _ int) error {
	old := w.person(on)
	if w.heir(old) != nil || len(w.users) > 16 {
		return nil
	}
	u := &modelUser{name: old.name, tenant: old.tenant, purpose: old.purpose, enabled: true, password: modelPassword}
	var err error
	if u.uuid, err = createUser(w.ctx, w.st, *u); err != nil {
		return err
	}
	w.users = append(w.users, u)
	w.remember(u)
	return nil
}

func (w *world) clockLittle(on, how int) error {
	d := []time.Duration{time.Nanosecond, 876544 * time.Microsecond, time.Second, 3 * time.Second, 11 * time.Second, time.Minute}[on%6]
	d += time.Duration(how) * time.Microsecond
	w.note("%s", d)
	w.advance(d)
	return nil
}

// clockExpiry moves it to the last moment of a token, or next to that.
func (w *world) clockExpiry(on, how int) error {
	var list []*modelToken
	for _, t := range w.tokens[len(w.admin):] {
		if w.good(t) {
			list = append(list, t)
		}
	}
	if len(list) == 0 {
		w.advance(time.Second)
		return nil
	}
	t := list[on%len(list)]
	at := time.Unix(t.expires, 0).Add([]time.Duration{0, time.Nanosecond, -time.Microsecond, time.Second, 999_999_999}[how%5])
	w.note("%s's, %s", t.describe(w.model), at.Sub(time.Unix(t.expires, 0)))
	w.advance(max(time.Nanosecond, at.Sub(w.now)))
	return nil
}

func (w *world) clockMaxAge(_, how int) error {
	w.advance(5*time.Minute + time.Duration(how%2)*time.Nanosecond)
	return nil
}

func (w *world) purgeExpired(_, _ int) error {
	n, err := w.svc.PurgeExpired(w.ctx)
	return ended("the purge", n, err, w.purge())
}

func (w *world) restart(_, _ int) error {
	if err := w.svc.Close(); err != nil {
		return err
	}
	return w.start()
}
