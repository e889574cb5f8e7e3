package authsvc_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
)

// check compares the service with the model wherever a token, a session or a
// refresh token shows: the guard, the token resource, the rows and the lists.
// All tokens are asked about and all rows read; of the lists, which have no
// state of their own, those that hold everything and some of the others in
// turn, unless all are asked for: under the race detector a query costs
// milliseconds.
func (w *world) check(all bool) error {
	// Whoever asks first after a step, it must not matter.
	for i, t := range w.tokens {
		for j := range probes {
			if err := probes[(w.steps+i+j)%len(probes)](w, t, w.good(t)); err != nil {
				return fmt.Errorf("token %d (%s): %w", i, t.describe(w.model), err)
			}
		}
	}
	for _, id := range w.stillborn {
		if err := w.refuses(id); err != nil {
			return err
		}
	}
	if err := w.checkRows(); err != nil {
		return err
	}
	return w.checkLists(all)
}

func (t *modelToken) describe(m *model) string {
	state := "good"
	switch {
	case t.gone:
		state = "gone"
	case !m.good(t):
		state = "expired"
	}
	name := "internal"
	if t.user != nil {
		name = t.user.name
	}
	return name + ", " + state
}

// probes ask about one token; good tells what the answer must be.
var probes = []func(w *world, t *modelToken, good bool) error{
	(*world).probeGuard, (*world).probeHead, (*world).probeGet, (*world).probeScopes, (*world).probeUse,
}

func (w *world) probeGuard(t *modelToken, good bool) error {
	type question struct {
		required string
		tenants  []string
		want     guard.Reason
	}
	admin := t.user != nil && t.user.admin
	list := []question{{"", nil, guard.Granted}, {modelAccess, nil, guard.Granted}, {modelNoAccess, nil, guard.MissingAccess}}
	if admin {
		list[2].want = guard.Granted
	}
	for tenant := range w.parents {
		q := question{modelAccess, []string{tenant}, guard.Granted}
		if t.user != nil && !w.below(t.user.tenant, tenant) {
			q.want = guard.WrongTenant
		}
		list = append(list, q)
	}
	for _, q := range list {
		if !good {
			q.want = guard.UnknownToken
		}
		d := w.svc.Decide(w.ctx, scopePolicy(q.required), guard.Request{Method: "GET", Target: "/", Tokens: []string{t.uuid}, Tenants: q.tenants})
		if d.Reason != q.want || (d.Verdict == guard.Allow) != (q.want == guard.Granted) || d.Err != nil {
			return fmt.Errorf("guard, %q in %q: %s, %s, %v; want %s", q.required, q.tenants, d.Verdict, d.Reason, d.Err, q.want)
		}
	}
	return nil
}

func (w *world) probeHead(t *modelToken, good bool) error {
	tenant := w.f.child
	for _, q := range []struct {
		query string
		want  int
	}{
		{"", 204},
		{"?scope=" + modelAccess, 204},
		{"?tenant=" + tenant, status(t.user == nil || w.below(t.user.tenant, tenant), 204, 403)},
	} {
		if !good {
			q.want = 404
		}
		if rec := w.request("HEAD", "/0.1/token/"+t.uuid+q.query, ""); rec.Code != q.want {
			return fmt.Errorf("HEAD %q: %d, want %d", q.query, rec.Code, q.want)
		}
	}
	return nil
}

func status(ok bool, yes, no int) int {
	if ok {
		return yes
	}
	return no
}

func (w *world) probeGet(t *modelToken, good bool) error {
	id := t.uuid
	if w.steps%2 == 1 {
		id = strings.ToUpper(id) // the same token
	}
	rec := w.request("GET", "/0.1/token/"+id, "")
	if rec.Code != status(good, 200, 404) {
		return fmt.Errorf("GET: %d %s", rec.Code, rec.Body)
	}
	if !good {
		return says(rec, `{"reason": ["No such token"], "timestamp": [`)
	}
	got, err := readToken(rec)
	if err != nil {
		return fmt.Errorf("GET: %w in %s", err, rec.Body)
	}
	if got.RefreshToken != nil {
		return fmt.Errorf("GET shows a refresh token: %s", rec.Body)
	}
	return t.matches(got, time.Unix(t.issued, 0), time.Unix(t.expires, 0))
}

// says compares how a body begins; spaces do not count.
func says(rec *httptest.ResponseRecorder, prefix string) error {
	if !strings.HasPrefix(spaceless(rec.Body.String()), spaceless(prefix)) {
		return fmt.Errorf("answered %s, want %s…", rec.Body, prefix)
	}
	return nil
}

func (w *world) probeScopes(t *modelToken, good bool) error {
	rec := w.request("POST", "/0.1/token/"+t.uuid+"/scopes/check", `{"scopes": ["`+modelAccess+`"]}`)
	if rec.Code != status(good, 200, 404) {
		return fmt.Errorf("scopes/check: %d %s", rec.Code, rec.Body)
	}
	if good {
		return says(rec, `{"scopes": {"`+modelAccess+`": true}}`)
	}
	return nil
}

func spaceless(s string) string { return strings.ReplaceAll(s, " ", "") }

// probeUse uses the token for a request of the API.
func (w *world) probeUse(t *modelToken, good bool) error {
	if t.user == nil || good && (w.steps+int(t.issued))%8 != 0 {
		return nil
	}
	rec := w.request("GET", "/0.1/users/me/sessions?limit=0", "", token(t))
	if rec.Code != status(good, 200, 401) {
		return fmt.Errorf("GET /users/me/sessions: %d %s", rec.Code, rec.Body)
	}
	if !good {
		return says(rec, `{"message": "Unauthorized", "error_id": "unauthorized", "details": {"invalid_token": "`+t.uuid+`", "reason": "not_found_or_expired"`)
	}
	n := len(w.ofUser(t.user))
	return says(rec, fmt.Sprintf(`{"items":[],"total":%d,"filtered":%d}`, n, n))
}

// refuses checks that id is no token.
func (w *world) refuses(id string) error {
	d := w.svc.Decide(w.ctx, scopePolicy(""), guard.Request{Method: "GET", Target: "/", Tokens: []string{id}})
	head := w.request("HEAD", "/0.1/token/"+id, "").Code
	if d.Reason != guard.UnknownToken || head != 404 {
		return fmt.Errorf("%s, which never was a token: %s, HEAD %d", id, d.Reason, head)
	}
	return nil
}

// modelRows shows all that there is. A session without a token and a token
// without a session show as such.
const modelRows = `
select 'session ' || s.uuid || ' ' || case when s.mobile then 'mobile' else '-' end || ' ' || s.tenant_uuid
	|| ' token ' || coalesce(t.uuid || ' ' || t.auth_id || ' ' || t.expire_t || ' ' || coalesce(t.refresh_token_uuid, '-'), 'none')
from auth_session s left join auth_token t on t.session_uuid = s.uuid
union all
select 'lone token ' || uuid from auth_token where session_uuid not in (select uuid from auth_session)
union all
select 'refresh ' || uuid || ' ' || client_id || ' ' || user_uuid || ' ' || case when mobile then 'mobile' else '-' end
from auth_refresh_token`

// checkRows compares the tables.
func (w *world) checkRows() error {
	var got, want []string
	rows, err := w.st.DB().QueryContext(w.ctx, modelRows)
	if err != nil {
		return fmt.Errorf("reading rows: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return fmt.Errorf("reading rows: %w", err)
		}
		got = append(got, line)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading rows: %w", err)
	}
	mark := func(mobile bool) string {
		if mobile {
			return "mobile"
		}
		return "-"
	}
	for _, t := range w.held(func(*modelToken) bool { return true }) {
		authID, refresh := "wazo-auth", "-"
		if t.user != nil {
			authID = t.user.uuid
		}
		if t.refresh != nil {
			refresh = t.refresh.uuid
		}
		want = append(want, fmt.Sprintf("session %s %s %s token %s %s %d %s", t.session, mark(t.mobile), t.tenant, t.uuid, authID, t.expires, refresh))
	}
	for _, r := range w.kept(func(*modelRefresh) bool { return true }) {
		want = append(want, fmt.Sprintf("refresh %s %s %s %s", r.uuid, r.client, r.user.uuid, mark(r.mobile)))
	}
	slices.Sort(got)
	slices.Sort(want)
	return difference("rows", got, want)
}

func difference(what string, got, want []string) error {
	if slices.Equal(got, want) {
		return nil
	}
	var b strings.Builder
	for _, line := range got {
		if !slices.Contains(want, line) {
			fmt.Fprintf(&b, "\n  unexpected: %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			fmt.Fprintf(&b, "\n  missing:    %s", line)
		}
	}
	if b.Len() == 0 {
		b.WriteString(" are in another order")
	}
	return fmt.Errorf("%s:%s", what, b.String())
}

// listed is the envelope of every list.
type listed struct {
	Total    int               `json:"total"`
	Filtered int               `json:"filtered"`
	Items    []json.RawMessage `json:"items"`
}

func (w *world) checkLists(all bool) error {
	root, boss := w.admin[0], w.admin[1]
	for i, l := range []struct {
		by      *modelToken
		query   string
		tenant  string
		recurse bool
	}{
		{root, "?recurse=true", w.f.top, true},
		{root, "", w.f.top, false},
		{boss, "?recurse=true", w.f.acme, true},
		{root, "", w.f.child, false},
	} {
		if i > 0 && !all && w.steps%8 != i {
			continue
		}
		inScope := func(tenant string) bool { return tenant == l.tenant || l.recurse && w.below(l.tenant, tenant) }
		as := []header{token(l.by), {"Wazo-Tenant", l.tenant}}
		sessions := w.held(func(t *modelToken) bool { return inScope(t.tenant) })
		if err := w.checkSessions("/0.1/sessions"+l.query, sessions, as...); err != nil {
			return err
		}
		refresh := w.kept(func(r *modelRefresh) bool { return inScope(r.user.tenant) })
		if err := w.checkRefresh("/0.1/tokens"+l.query, refresh, as...); err != nil {
			return err
		}
	}
	for i, u := range w.users {
		if !all && w.steps%(2*len(w.users)) != 2*i {
			continue
		}
		for path, check := range map[string]func(string) error{
			"/0.1/users/" + u.uuid + "/sessions": func(path string) error {
				return w.checkSessions(path, w.ofUser(u), token(root))
			},
			"/0.1/users/" + u.uuid + "/tokens": func(path string) error {
				return w.checkRefresh(path, w.kept(func(r *modelRefresh) bool { return r.user == u }), token(root))
			},
		} {
			if !u.gone {
				if err := check(path); err != nil {
					return err
				}
			}
			if u.gone || !w.below(w.f.acme, u.tenant) {
				by := status(u.gone, 0, 1)
				if rec := w.request("GET", path, "", token(w.admin[by])); rec.Code != 404 {
					return fmt.Errorf("GET %s of who cannot be seen: %d %s", path, rec.Code, rec.Body)
				}
			}
		}
	}
	return nil
}

func (w *world) list(path string, headers ...header) (l listed, items []string, err error) {
	rec := w.request("GET", path, "", headers...)
	if rec.Code != http.StatusOK {
		return l, nil, fmt.Errorf("GET %s: %d %s", path, rec.Code, rec.Body)
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &l); err != nil {
		return l, nil, fmt.Errorf("GET %s: %w", path, err)
	}
	for _, item := range l.Items {
		items = append(items, spaceless(string(item)))
	}
	return l, items, nil
}

func (w *world) compare(path string, want []string, headers ...header) error {
	l, items, err := w.list(path, headers...)
	if err != nil {
		return err
	}
	if l.Total != len(want) || l.Filtered != len(want) {
		return fmt.Errorf("GET %s counts %d, %d of them, want %d", path, l.Total, l.Filtered, len(want))
	}
	return difference("GET "+path, items, want)
}

func (w *world) checkSessions(path string, sessions []*modelToken, headers ...header) error {
	var want []string
	for _, t := range sessions {
		user := "null"
		if t.user != nil {
			user = `"` + t.user.uuid + `"`
		}
		want = append(want, fmt.Sprintf(`{"uuid":%q,"mobile":%t,"tenant_uuid":%q,"user_uuid":%s}`, t.session, t.mobile, t.tenant, user))
	}
	return w.compare(path, want, headers...)
}

func (w *world) checkRefresh(path string, refresh []*modelRefresh, headers ...header) error {
	var want []string
	for _, r := range refresh {
		want = append(want, fmt.Sprintf(`{"client_id":%q,"created_at":%q,"mobile":%t,"user_uuid":%q,"tenant_uuid":%q,"metadata":{}}`,
			r.client, r.created.UTC().Format("2006-01-02T15:04:05.000000+00:00"), r.mobile, r.user.uuid, r.user.tenant))
	}
	return w.compare(path, want, headers...)
}

// ended compares the number of tokens that an operation says it ended.
func ended(what string, got int, err error, want int) error {
	if err != nil || got != want {
		return fmt.Errorf("%s ended %d tokens, %v; want %d", what, got, err, want)
	}
	return nil
}

// scopePolicy is that of a guard with one scope.
func scopePolicy(scope string) guard.Policies { return guard.NewPolicies(&guard.Policy{Scope: scope}) }
