package authsvc_test

import (
	"cmp"
	"slices"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// model is what the token resource must be, in the plainest terms: lists of
// all that ever existed, looked through from one end to the other. It decides
// what every operation does; the service is compared with it.
type model struct {
	now     time.Time
	limit   int // sessions a user may have
	parents map[string]string
	users   []*modelUser
	tokens  []*modelToken
	refresh []*modelRefresh
}

type modelUser struct {
	uuid, name, tenant, purpose, password string
	admin                                 bool // may do anything, and is left alone by the steps
	enabled, gone                         bool
}

// modelToken is a token with its session: they come and go together.
type modelToken struct {
	uuid, session, addr string
	user                *modelUser // nil for the service's own
	tenant              string     // of its session
	issued, expires     int64
	mobile              bool
	refresh             *modelRefresh // what it was issued from, while that exists
	gone                bool
}

type modelRefresh struct {
	uuid, client string
	user         *modelUser
	mobile       bool
	created      time.Time
	gone         bool
}

// good tells whether a token is accepted at this moment.
func (m *model) good(t *modelToken) bool {
	return !t.gone && !m.now.After(time.Unix(t.expires, 0))
}

// below tells whether tenant is ancestor or under it.
func (m *model) below(ancestor, tenant string) bool {
	for tenant != ancestor {
		parent, ok := m.parents[tenant]
		if !ok || parent == tenant {
			return false
		}
		tenant = parent
	}
	return true
}

// held are the rows of tokens that match, expired ones included until they
// are purged.
func (m *model) held(match func(*modelToken) bool) (list []*modelToken) {
	for _, t := range m.tokens {
		if !t.gone && match(t) {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b *modelToken) int { return cmp.Compare(a.session, b.session) })
	return list
}

func (m *model) ofUser(u *modelUser) []*modelToken {
	return m.held(func(t *modelToken) bool { return t.user == u })
}

// kept are the refresh tokens that match, as they are listed.
func (m *model) kept(match func(*modelRefresh) bool) (list []*modelRefresh) {
	for _, r := range m.refresh {
		if !r.gone && match(r) {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b *modelRefresh) int {
		return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.uuid, b.uuid))
	})
	return list
}

func (m *model) refreshOf(u *modelUser, client string) *modelRefresh {
	for _, r := range m.kept(func(r *modelRefresh) bool { return r.user == u && r.client == client }) {
		return r
	}
	return nil
}

// admits tells what a login of u that proved who he is gets: the status.
func (m *model) admits(u *modelUser) int {
	switch {
	case u.gone, !u.enabled:
		return 401
	case u.purpose != store.PurposeInternal && len(m.ofUser(u)) >= m.limit:
		return 429
	}
	return 200
}

// forget deletes a refresh token; tokens issued from it lose the link.
func (m *model) forget(r *modelRefresh) {
	r.gone = true
	for _, t := range m.tokens {
		if t.refresh == r {
			t.refresh = nil
		}
	}
}

// replaced are the refresh tokens that a mobile offline login makes go, and
// the tokens that go with them.
func (m *model) replaced(u *modelUser, client string) (refresh []*modelRefresh, tokens []*modelToken) {
	refresh = m.kept(func(r *modelRefresh) bool { return r.user == u && (r.client == client || r.mobile) })
	tokens = m.held(func(t *modelToken) bool { return t.refresh != nil && slices.Contains(refresh, t.refresh) })
	return refresh, tokens
}

func end(tokens []*modelToken) {
	for _, t := range tokens {
		t.gone = true
	}
}

// purge removes what expired before this second, and returns how many.
func (m *model) purge() int {
	old := m.held(func(t *modelToken) bool { return t.expires < m.now.Unix() })
	end(old)
	return len(old)
}

// drop removes a user and all that is his.
func (m *model) drop(u *modelUser) {
	u.gone = true
	end(m.ofUser(u))
	for _, r := range m.kept(func(r *modelRefresh) bool { return r.user == u }) {
		m.forget(r)
	}
}
