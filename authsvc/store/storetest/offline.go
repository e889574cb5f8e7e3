package storetest

import (
	"crypto/rand"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

func byToken(ended []store.EndedToken) []store.EndedToken {
	ended = slices.Clone(ended)
	slices.SortFunc(ended, func(a, b store.EndedToken) int { return strings.Compare(a.UUID, b.UUID) })
	return ended
}

// incompressible is a text of n bytes that is no shorter in an index.
func incompressible(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(rand.Text())
	}
	return b.String()[:n]
}

func testOfflineNew(t *testing.T, b *bench) {
	sub := b.tenant("sub", b.top)
	u := b.user("u", "")
	b.exec(`update auth_user set tenant_uuid = $1`, sub)
	u.TenantUUID = sub
	b.policy(b.top, "base", "b", "a", "b.c")
	for _, metadata := range []string{"", `{"é":  [1, "\u0041"], "é": 2}`} {
		n, r := b.issue(u.UUID), wanted(u, incompressible(store.MaxIndexed), metadata != "")
		n.BasePolicy, n.RefreshToken, r.Metadata = "base", "ignored", metadata
		o, err := b.IssueOfflineToken(t.Context(), n, r)
		must(t, "IssueOfflineToken", err)
		if metadata == "" {
			r.Metadata = "{}"
		}
		r.TenantUUID = sub
		equal(t, "outcome", o, store.Offline{ACL: []string{"b", "a", "b.c"}, RefreshToken: r.UUID, Metadata: r.Metadata, Created: true})
		equal(t, "link", b.link(n.Token.UUID), r.UUID)
		got, err := b.Token(t.Context(), n.Token.UUID)
		must(t, "Token", err)
		equal(t, "stored ACL", got.ACL, o.ACL)
		all := b.refreshTokens(u)
		equal(t, "refresh token", all[len(all)-1], r)
	}
	// Finer time than is kept.
	r := wanted(u, "fine", false)
	at := r.CreatedAt
	r.CreatedAt = at.Add(999 * time.Nanosecond).In(time.FixedZone("", 3600))
	_, err := b.IssueOfflineToken(t.Context(), b.issue(u.UUID), r)
	must(t, "IssueOfflineToken", err)
	all := b.refreshTokens(u)
	equal(t, "created_at", all[len(all)-1].CreatedAt, at)
}

// Of a client that is known nothing changes, whatever the login was like.
func testOfflineKnown(t *testing.T, b *bench) {
	u := b.user("u", "u@example.org")
	for _, mobile := range []bool{false, true} {
		client := map[bool]string{false: "desk", true: "phone"}[mobile]
		r := wanted(u, client, mobile)
		r.Metadata = `{"kept": true}`
		_, err := b.IssueOfflineToken(t.Context(), b.issue(u.UUID), r)
		must(t, "IssueOfflineToken", err)
		before := b.refreshTokens(u)

		again := wanted(u, client, false)
		again.Login, again.Backend, again.UserAgent, again.RemoteAddr, again.Metadata = "U@example.org", "other", "other", "other", `{"new": 1}`
		n := b.issue(u.UUID)
		o, err := b.IssueOfflineToken(t.Context(), n, again)
		must(t, "IssueOfflineToken again", err)
		equal(t, "outcome", o, store.Offline{ACL: []string{}, RefreshToken: r.UUID, Metadata: r.Metadata})
		equal(t, "refresh tokens", b.refreshTokens(u), before)
		equal(t, "link", b.link(n.Token.UUID), r.UUID)
	}
	// The same client of somebody else is another.
	_, o := b.offline(b.user("other", ""), "desk", false)
	equal(t, "created", o.Created, true)
	_, o = b.offline(u, "DESK", false)
	equal(t, "created for another client", o.Created, true)
}

// A mobile login replaces the refresh token of its client, mobile or not.
func testOfflineMobileSame(t *testing.T, b *bench) {
	for _, mobile := range []bool{false, true} {
		u := b.user("u"+map[bool]string{true: "m"}[mobile], "")
		first, o := b.offline(u, "client", mobile)
		second := b.issue(u.UUID)
		second.RefreshToken = o.RefreshToken
		second = b.issued(second)
		guest := b.sibling(store.Token{SessionUUID: second.Session.UUID}, "guest", 1)
		bystander := b.issued(b.issue(u.UUID))
		replaced := b.refreshTokens(u)

		n, next := b.offline(u, "client", true)
		if next.RefreshToken == o.RefreshToken || !next.Created {
			t.Errorf("kept %+v", next)
		}
		equal(t, "replaced", next.Replaced, replaced)
		guestEnded := b.sessionOver(second)
		guestEnded.UUID, guestEnded.AuthID = guest.UUID, "guest"
		equal(t, "ended", byToken(next.Ended), byToken([]store.EndedToken{b.sessionOver(first), b.sessionOver(second), guestEnded}))
		for _, gone := range []string{first.Session.UUID, second.Session.UUID} {
			if b.hasSession(gone) {
				t.Error("a session of the replaced refresh token stayed")
			}
		}
		if b.hasToken(guest.UUID) || !b.hasToken(bystander.Token.UUID) || !b.hasToken(n.Token.UUID) {
			t.Error("wrong tokens went")
		}
		left := b.refreshTokens(u)
		if len(left) != 1 || left[0].UUID != next.RefreshToken || !left[0].Mobile {
			t.Errorf("left: %+v", left)
		}
	}
}

// A user has one mobile client. His others, and everybody else's, are not
// touched.
func testOfflineMobileOthers(t *testing.T, b *bench) {
	u, other := b.user("u", ""), b.user("other", "")
	tokenOf := map[string]store.NewToken{}
	add := func(u store.User, client string, mobile bool) store.RefreshToken {
		r, n := b.stored(u, wanted(u, client, mobile))
		tokenOf[r.UUID] = n
		return r
	}
	oldest, desk, second := add(u, "z", true), add(u, "desk", false), add(u, "a", true)
	own, third := add(u, "own", true), add(u, "m", true)
	theirs := []store.RefreshToken{add(other, "own", true), add(other, "z", false)}

	n, o := b.offline(u, "own", true)
	// That of the client went before the new one came, the others after, the
	// oldest first.
	gone := []store.RefreshToken{own, oldest, second, third}
	equal(t, "replaced", o.Replaced, gone)
	ended := []store.EndedToken{}
	for _, r := range gone {
		ended = append(ended, b.sessionOver(tokenOf[r.UUID]))
	}
	equal(t, "ended", byToken(o.Ended), byToken(ended))
	left := b.refreshTokens(u)
	if len(left) != 2 || left[0] != desk || left[1].UUID != o.RefreshToken {
		t.Errorf("left: %+v", left)
	}
	equal(t, "another's", b.refreshTokens(other), theirs)
	equal(t, "tokens", b.texts(`select uuid from auth_token order by uuid collate "C"`), sorted(n.Token.UUID,
		tokenOf[desk.UUID].Token.UUID, tokenOf[theirs[0].UUID].Token.UUID, tokenOf[theirs[1].UUID].Token.UUID))

	_, o = b.offline(u, "tablet", true)
	equal(t, "replaced by a new client", len(o.Replaced), 1)
	// A login that is not mobile replaces nothing.
	_, o = b.offline(u, "laptop", false)
	if o.Replaced != nil || o.Ended != nil || len(b.refreshTokens(u)) != 3 {
		t.Errorf("a plain login: %+v", o)
	}
}

// The limit is looked at before room is made.
func testOfflineLimit(t *testing.T, b *bench) {
	u := b.user("u", "")
	_, o := b.offline(u, "client", true)
	refreshed := b.issue(u.UUID)
	refreshed.RefreshToken = o.RefreshToken
	b.issued(refreshed)
	rows := b.loginRows()
	for _, mobile := range []bool{true, false} {
		for _, client := range []string{"client", "new"} {
			n := b.issue(u.UUID)
			n.MaxSessions = 2
			got, err := b.IssueOfflineToken(t.Context(), n, wanted(u, client, mobile))
			want(t, "IssueOfflineToken, one too many", err, store.ErrLimit)
			equal(t, "outcome", got, store.Offline{})
		}
	}
	equal(t, "rows after refused logins", b.loginRows(), rows)
	n := b.issue(u.UUID)
	n.MaxSessions = 3
	got, err := b.IssueOfflineToken(t.Context(), n, wanted(u, "client", true))
	must(t, "IssueOfflineToken", err)
	equal(t, "ended", len(got.Ended), 2)
	equal(t, "sessions", b.count(`select count(*) from auth_session`), 1)
}

// Whatever a mobile login fails on, what it would have replaced stays.
func testOfflineRefused(t *testing.T, b *bench) {
	u, other := b.user("u", ""), b.user("other", "")
	b.offline(u, "client", true)
	taken, theirs := b.offline(other, "client", true)
	rows := b.loginRows()
	try := func(name string, target error, n store.NewToken, r store.RefreshToken) {
		t.Helper()
		o, err := b.IssueOfflineToken(t.Context(), n, r)
		want(t, name, err, target)
		equal(t, name, o, store.Offline{})
	}
	for _, mobile := range []bool{true, false} {
		for _, c := range []struct {
			name  string
			want  error
			spoil func(*store.NewToken, *store.RefreshToken)
		}{
			{"no such tenant", store.ErrNotFound, func(n *store.NewToken, _ *store.RefreshToken) { n.Session.TenantUUID = newID() }},
			{"no such user", store.ErrNotFound, func(_ *store.NewToken, r *store.RefreshToken) { r.UserUUID = newID() }},
			{"no user", store.ErrNotFound, func(_ *store.NewToken, r *store.RefreshToken) { r.UserUUID = "" }},
			{"token taken", store.ErrConflict, func(n *store.NewToken, _ *store.RefreshToken) { n.Token.UUID = taken.Token.UUID }},
			{"refresh token taken", store.ErrConflict, func(_ *store.NewToken, r *store.RefreshToken) {
				r.UUID, r.ClientID = theirs.RefreshToken, "new"
			}},
			{"no uuid", store.ErrInvalid, func(n *store.NewToken, _ *store.RefreshToken) { n.Token.UUID = "" }},
			{"no refresh token uuid", store.ErrInvalid, func(_ *store.NewToken, r *store.RefreshToken) { r.UUID, r.ClientID = "", "new" }},
			{"long refresh token uuid", store.ErrInvalid, func(_ *store.NewToken, r *store.RefreshToken) {
				r.UUID, r.ClientID = strings.Repeat("x", 37), "new"
			}},
			{"metadata that is no JSON", store.ErrInvalid, func(_ *store.NewToken, r *store.RefreshToken) { r.Metadata, r.ClientID = "{", "new" }},
			{"after 2038", store.ErrInvalid, func(n *store.NewToken, _ *store.RefreshToken) { n.Token.ExpiresAt = 1 << 31 }},
		} {
			n, r := b.issue(u.UUID), wanted(u, "client", mobile)
			c.spoil(&n, &r)
			try(c.name, c.want, n, r)
		}
	}
	for _, bad := range unsearchable {
		spoilt(b.issue(u.UUID), bad, func(n store.NewToken) {
			if n.RefreshToken != bad { // which is ignored
				try("token", store.ErrInvalid, n, wanted(u, "client", true))
			}
		})
		for _, field := range []func(*store.RefreshToken) *string{
			func(r *store.RefreshToken) *string { return &r.UUID },
			func(r *store.RefreshToken) *string { return &r.ClientID },
			func(r *store.RefreshToken) *string { return &r.UserUUID },
			func(r *store.RefreshToken) *string { return &r.Backend },
			func(r *store.RefreshToken) *string { return &r.Login },
			func(r *store.RefreshToken) *string { return &r.UserAgent },
			func(r *store.RefreshToken) *string { return &r.RemoteAddr },
			func(r *store.RefreshToken) *string { return &r.Metadata },
		} {
			r := wanted(u, "client", true)
			*field(&r) = bad
			try("refresh token", store.ErrInvalid, b.issue(u.UUID), r)
		}
	}
	equal(t, "rows after refused logins", b.loginRows(), rows)
}

// Offline logins of one user, mobile and not, from one client or several, wait
// for each other.
func testOfflineAtOnce(t *testing.T, b *bench) {
	const logins = 16
	for _, clients := range []int{1, 4} {
		u := b.user(strings.Repeat("u", clients), "")
		var (
			mu     sync.Mutex
			issued []string
			ended  []string
			gone   []string
			kept   = map[string]bool{}
		)
		b.together(logins, func(i int, s store.Store) {
			n := b.issue(u.UUID)
			n.MaxSessions = 2 * logins
			o, err := s.IssueOfflineToken(t.Context(), n, wanted(u, string(rune('a'+i%clients)), i/2%2 == 0))
			if err != nil {
				t.Errorf("IssueOfflineToken: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			issued, kept[o.RefreshToken] = append(issued, n.Token.UUID), true
			ended = append(ended, uuidsOf(o.Ended)...)
			for _, r := range o.Replaced {
				gone = append(gone, r.UUID)
			}
		})
		mobile := b.count(`select count(*) from auth_refresh_token where user_uuid = $1 and mobile`, u.UUID)
		if mobile > 1 {
			t.Errorf("%d mobile refresh tokens", mobile)
		}
		for _, r := range b.refreshTokens(u) {
			gone = append(gone, r.UUID)
		}
		equal(t, "refresh tokens, each replaced once or left", len(sorted(gone...)), len(kept))
		left := b.texts(`select uuid from auth_token where auth_id = $1`, u.UUID)
		equal(t, "tokens, each ended once or left", sorted(append(left, ended...)...), sorted(issued...))
		equal(t, "tokens left without a refresh token", b.count(`select count(*) from auth_token
where auth_id = $1 and refresh_token_uuid is null`, u.UUID), 0)
		equal(t, "rows of a client", b.count(`select count(*) from auth_refresh_token where user_uuid = $1`, u.UUID) <= clients, true)
	}
}
