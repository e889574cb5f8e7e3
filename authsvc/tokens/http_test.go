package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// alice are good credentials.
var alice = []string{"Authorization", "Basic YWxpY2U6c2VjcmV0"}

func reason(status int, text string) string {
	return fmt.Sprintf(`{"reason": [%q], "timestamp": [1700000000.123456], "status_code": %d}`+"\n", text, status)
}

const (
	notJSON     = `{"message": "The browser (or proxy) sent a request that this server could not understand."}` + "\n"
	unavailable = `{"message": "Service Unavailable"}` + "\n"
	failed      = `{"message": "Internal Server Error"}` + "\n"
)

func TestCreate_Refused(t *testing.T) {
	t.Parallel()
	refused := reason(401, "Authentication Failed")
	for _, c := range []struct {
		name, body string
		header     []string
		prepare    func(*api)
		status     int
		answer     string // "" is any
	}{
		{"no credentials", `{}`, nil, nil, 401, refused},
		{"wrong password", `{}`, []string{"Authorization", "Basic YWxpY2U6d3Jvbmc="}, nil, 401, refused},
		{"header cannot be read", `{}`, []string{"Authorization", "Basic a"}, nil, 400, reason(400, "Invalid Authorization header")},
		{"body before header", `{`, []string{"Authorization", "Basic a"}, nil, 400, notJSON},
		{"no body", ``, alice, nil, 400, notJSON},
		{"form", `{}`, append([]string{"Content-Type", "application/x-www-form-urlencoded"}, alice...), nil, 400, notJSON},
		{"no object", `[1]`, alice, nil, 400, reason(400, `{'_schema': ['Invalid input type.']}`)},
		{"expiration of the wrong type", `{"expiration": "x"}`, alice, nil, 400, reason(400, `{'expiration': {'message': 'Not a valid integer.', 'constraint_id': 'type', 'constraint': 'integer'}}`)},
		{"expiration 0", `{"expiration": 0}`, alice, nil, 400, ""},
		{"expiration negative", `{"expiration": -1}`, alice, nil, 400, ""},
		{"expiration too long", `{"expiration": 315360001}`, alice, nil, 400, ""},
		{"expiration past the column", `{"expiration": 315360000}`, alice, func(a *api) { a.at = time.Unix(2_000_000_000, 0) }, 400, ""},
		{"null", `{"client_id": null}`, alice, nil, 400, ""},
		{"offline without client", `{"access_type": "offline"}`, alice, nil, 400, reason(400, `{'_schema': ['"client_id" must be specified when using "access_type" is "offline"']}`)},
		{"unknown access type", `{"access_type": "x"}`, alice, nil, 400, ""},
		{"refresh token and offline", `{"access_type": "offline", "refresh_token": "x", "client_id": "y"}`, alice, nil, 400, reason(400, `{'_schema': ['cannot use the "access_type" "offline" with a refresh token']}`)},
		{"tenant and domain", `{"tenant_id": "a", "domain_name": "b"}`, alice, nil, 400, reason(400, `{'_schema': ['"tenant_id" and "domain_name" must be mutually exclusive']}`)},
		{"unknown backend", `{"backend": "nobody"}`, alice, nil, 401, refused},
		{"backend with a NUL", `{"backend": "\u0000"}`, alice, nil, 401, refused},
		{"refresh", `{"refresh_token": "x", "client_id": "y"}`, alice, nil, 401, refused},
		{"refresh with an empty token", `{"refresh_token": "", "client_id": "y"}`, alice, nil, 401, refused},
		{"refresh of another client", `{"refresh_token": "good", "client_id": "y"}`, nil, nil, 401, refused},
		{"refresh where another method is used", `{"refresh_token": "good", "client_id": "mine"}`, nil, func(a *api) { a.store.tenant = subTenant }, 401, refused},
		{"refresh, store down", `{"refresh_token": "good", "client_id": "mine"}`, nil, func(a *api) { a.store.err = errDown }, 503, unavailable},
		{"too many sessions", `{}`, alice, func(a *api) { a.store.err = store.ErrLimit }, 429, reason(429, "User "+userID+" has exceeded the maximum number of active sessions")},
		{"too many logins at once", `{}`, alice, func(a *api) { a.backend.err = fmt.Errorf("%w: queue", backends.ErrBusy) }, 503, `{"message": "Too many logins at once, try again later"}` + "\n"},
		{"SAML", `{"saml_session_id": "x"}`, alice, nil, 401, refused},
		{"domain", `{"domain_name": ""}`, alice, nil, 401, refused},
		{"known tenant", `{"tenant_id": "` + subTenant + `"}`, alice, nil, 401, refused},
		{"unknown tenant", `{"tenant_id": "x"}`, alice, nil, 404, `{"message": "No such tenant: \"x\"", "error_id": "unknown-tenant", "details": {"uuid": "x"}, "timestamp": 1700000000.123456, "resource": "tenants"}` + "\n"},
		{"unknown tenant, nobody logs in", `{"tenant_id": "x"}`, nil, nil, 401, refused},
		{"tenants cannot be asked", `{"tenant_id": "x"}`, alice, func(a *api) { a.tenants.err = errDown }, 503, unavailable},
		{"backend cannot ask", `{}`, alice, func(a *api) { a.backend.err = errDown }, 503, unavailable},
		{"backend was not waited for", `{}`, alice, func(a *api) { a.backend.err = fmt.Errorf("waiting: %w", context.DeadlineExceeded) }, 503, unavailable},
		{"backend fails", `{}`, alice, func(a *api) { a.backend.err = errors.New("secret detail") }, 500, failed},
		{"store down", `{}`, alice, func(a *api) { a.store.err = errDown }, 503, unavailable},
		{"too large", `{"client_id": "` + strings.Repeat("x", 1<<20) + `"}`, alice, nil, 413, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			if c.prepare != nil {
				c.prepare(a)
			}
			w := a.do(t, "POST", "/0.1/token", c.body, c.header...)
			if w.Code != c.status || c.answer != "" && w.Body.String() != c.answer {
				t.Errorf("%d %swant %d %s", w.Code, w.Body, c.status, c.answer)
			}
			if w.Header().Get("WWW-Authenticate") != "" || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("header %v", w.Header())
			}
			if len(a.store.rows) != 0 {
				t.Error("a token was stored all the same")
			}
		})
	}
}

// credentials adds good ones to header unless it has some.
func credentials(header []string) []string {
	if slices.Contains(header, "Authorization") {
		return header
	}
	return append(slices.Clone(header), alice...)
}

// TestCreate_Throttled: who has just failed waits, and is not even asked for the
// right password; others do not.
func TestCreate_Throttled(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	if w := a.do(t, "POST", "/0.1/token", `{}`, "Authorization", "Basic YWxpY2U6d3Jvbmc="); w.Code != 401 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	w := a.do(t, "POST", "/0.1/token", `{}`, alice...)
	if w.Code != 429 || w.Body.String() != reason(429, "Too many failed logins") || w.Header().Get("Retry-After") != "2" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := a.do(t, "POST", "/0.1/token", `{"refresh_token": "good", "client_id": "mine"}`); w.Code != 200 {
		t.Errorf("somebody else: %d %s", w.Code, w.Body)
	}
}

// TestCreate_Moved: a user moves while his password is being checked, and that is
// told before his token is there. It must not be remembered with the tenant that
// he left.
func TestCreate_Moved(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	a.backend.during = func() {
		a.at = a.at.Add(time.Millisecond)
		a.store.tenant = subTenant
		a.cache.DoubtUsers(uuid.MustParse(userID))
		a.at = a.at.Add(time.Millisecond)
	}
	w := a.do(t, "POST", "/0.1/token", `{}`, alice...)
	var answer struct{ Data struct{ Token string } }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	a.cache.Wait()
	g, state, err := a.cache.Lookup(t.Context(), answer.Data.Token)
	if err != nil || g.UserTenant() != subTenant {
		t.Errorf("%v (%v), of the tenant %s", err, state, g.UserTenant())
	}
}

// TestCreate_Offline: the refresh token is told once, and the sessions it
// replaced are over at once.
func TestCreate_Offline(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	old := a.insert(nil)
	if w := a.do(t, "GET", "/0.1/token/"+old, ""); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	a.store.ended = []store.EndedToken{{UUID: old, SessionUUID: "s"}, {UUID: elsewhere, SessionUUID: "s"}}
	w := a.do(t, "POST", "/0.1/token", `{"access_type": "offline", "client_id": "x"}`, alice...)
	if w.Code != 200 || w.Header().Get("Wazo-Sessions-Revoked") != "1" || !strings.HasSuffix(w.Body.String(), `,"refresh_token":"refresh of x"}}`+"\n") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	var answer struct{ Data struct{ Token string } }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	if w := a.do(t, "GET", "/0.1/token/"+answer.Data.Token, ""); w.Code != 200 || strings.Contains(w.Body.String(), "refresh_token") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := a.do(t, "GET", "/0.1/token/"+old, ""); w.Code != 404 {
		t.Errorf("the session that was replaced: %d %s", w.Code, w.Body)
	}
}

func TestCheckScopes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		prepare    func(*api)
		status     int
		answer     string
	}{
		{"several", `{"scopes": ["confd.users.read", "x", "auth.users.` + userID + `.read", "x", ""]}`, nil, 200,
			`{"scopes":{"":false,"auth.users.` + userID + `.read":true,"confd.users.read":true,"x":false}}` + "\n"},
		{"none", `{"scopes": []}`, nil, 200, `{"scopes":{}}` + "\n"},
		{"tenant below", `{"scopes": [], "tenant_uuid": "` + subTenant + `"}`, nil, 200, `{"scopes":{}}` + "\n"},
		{"null tenant", `{"scopes": [], "tenant_uuid": null}`, nil, 200, ""},
		{"unrelated tenant", `{"scopes": [], "tenant_uuid": "` + elsewhere + `"}`, nil, 403, reason(403, "Unauthorized for tenant "+elsewhere)},
		{"user gone", `{"scopes": [], "tenant_uuid": "` + topTenant + `"}`, func(a *api) { a.store.tenant = "" }, 404, ""},
		{"no scopes", `{}`, nil, 400, ""},
		{"no list", `{"scopes": "x"}`, nil, 400, reason(400, `{'scopes': {'message': 'Not a valid list.', 'constraint_id': 'type', 'constraint': 'list'}}`)},
		{"no string", `{"scopes": [1]}`, nil, 400, reason(400, `{'scopes': {0: {'message': 'Not a valid string.', 'constraint_id': 'type', 'constraint': 'string'}}}`)},
		{"no JSON", `{`, nil, 400, notJSON},
		{"no such token", `{"scopes": []}`, func(a *api) { clear(a.store.rows) }, 404, reason(404, "No such token")},
		{"store down", `{"scopes": []}`, func(a *api) { a.store.err = errDown }, 503, unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			id := a.insert(nil)
			if c.prepare != nil {
				c.prepare(a)
			}
			w := a.do(t, "POST", "/0.1/token/"+id+"/scopes/check", c.body)
			if w.Code != c.status || c.answer != "" && w.Body.String() != c.answer {
				t.Errorf("%d %swant %d %s", w.Code, w.Body, c.status, c.answer)
			}
		})
	}
}

// TestCheckScopes_Ends: thousands of questions to a list that was written to be
// slow end with the time they are given, or when nobody waits for the answer.
func TestCheckScopes_Ends(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	id := a.insert(nil)
	gone, cancel := context.WithCancel(t.Context())
	a.do(t, "GET", "/0.1/token/"+id, "") // in memory now
	cancel()
	for body, status := range map[string]int{`{"scopes": []}`: 200, `{"scopes": ["x"]}`: 503} {
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequestWithContext(gone, "POST", "/0.1/token/"+id+"/scopes/check", strings.NewReader(body)))
		if w.Code != status || status == 503 && w.Body.String() != unavailable {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	const latin1 = "caf\xe9"
	for _, c := range []struct {
		name, body string
		header     []string
		lifetime   int64
		policy     string
		mobile     bool
		agent      string
	}{
		{"defaults", `{}`, nil, 7200, "everybody", false, ""},
		{"falsy body", `null`, nil, 7200, "everybody", false, ""},
		{"lifetime", `{"expiration": " 5 "}`, nil, 5, "everybody", false, ""},
		{"historical backend", `{"backend": "xivo_user"}`, nil, 7200, "everybody", false, ""},
		{"another backend and its policy", `{"backend": "other"}`, nil, 7200, "others", false, ""},
		{"mobile", `{}`, []string{"Wazo-Session-Type", "MoBiLe", "User-Agent", "app/1"}, 7200, "everybody", true, "app/1"},
		{"not mobile", `{}`, []string{"Wazo-Session-Type", "desktop"}, 7200, "everybody", false, ""},
		{"agent that is no UTF-8", `{}`, []string{"User-Agent", latin1}, 7200, "everybody", false, "caf\ufffd"},
		{"empty refresh token falls through", `{"refresh_token": ""}`, nil, 7200, "everybody", false, ""},
		{"offline", `{"access_type": "offline", "client_id": "x"}`, nil, 7200, "everybody", false, ""},
		{"refresh, whatever the password", `{"refresh_token": "good", "client_id": "mine", "expiration": 9}`, []string{"Authorization", "Basic YWxpY2U6d3Jvbmc="}, 9, "everybody", false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			w := a.do(t, "POST", "/0.1/token", c.body, credentials(c.header)...)
			var answer struct {
				Data struct {
					Token      string `json:"token"`
					Session    string `json:"session_uuid"`
					Issued     string `json:"issued_at"`
					UTCIssued  string `json:"utc_issued_at"`
					UTCExpires string `json:"utc_expires_at"`
					Agent      string `json:"user_agent"`
				} `json:"data"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != 200 {
				t.Fatalf("%d %s: %v", w.Code, w.Body, err)
			}
			d := answer.Data
			expires := a.at.Add(time.Duration(c.lifetime) * time.Second).UTC().Format("2006-01-02T15:04:05.000000")
			if d.Issued != "2023-11-14T23:13:20.123456" || d.UTCIssued != "2023-11-14T22:13:20.123456" || d.UTCExpires != expires || d.Agent != c.agent {
				t.Errorf("%s", w.Body)
			}
			if w.Header().Get("Wazo-Sessions-Revoked") != "0" {
				t.Errorf("header %v", w.Header())
			}
			row, session := a.store.rows[d.Token], a.store.sessions[d.Session]
			if row.ExpiresAt-row.IssuedAt != c.lifetime || row.IssuedAt != a.at.Unix() || row.AuthID != userID || row.RemoteAddr != "192.0.2.1" || row.SessionUUID != d.Session {
				t.Errorf("stored %+v", row)
			}
			if session.Mobile != c.mobile || session.TenantUUID != topTenant || a.store.policy != c.policy || a.store.max != 7 {
				t.Errorf("session %+v, policy %q", session, a.store.policy)
			}
			// What is cached, and what another node reads, is the stored
			// token: times to the second.
			a.cache.Wait()
			hit := a.do(t, "GET", "/0.1/token/"+d.Token, "").Body.String()
			other := newAPI(t)
			other.store.rows = maps.Clone(a.store.rows)
			if read := other.do(t, "GET", "/0.1/token/"+d.Token, "").Body.String(); hit != read ||
				!strings.Contains(read, `"issued_at":"2023-11-14T23:13:20",`) || !strings.Contains(read, `"utc_issued_at":"2023-11-14T22:13:20.000000"`) {
				t.Errorf("cached %sread   %s", hit, read)
			}
		})
	}
}

func TestGetHead(t *testing.T) {
	t.Parallel()
	const id = "01234567-89ab-4cde-8f01-23456789abcd"
	noToken := reason(404, "No such token")
	for _, c := range []struct {
		name, path string
		edit       func(*store.Token)
		prepare    func(*api)
		status     int // of GET; HEAD says 204 for 200
		answer     string
	}{
		{"good", id, nil, nil, 200, ""},
		{"upper case", strings.ToUpper(id), nil, nil, 200, ""},
		{"unknown", "11234567-89ab-4cde-8f01-23456789abcd", nil, nil, 404, noToken},
		{"undashed", strings.ReplaceAll(id, "-", ""), nil, nil, 404, noToken},
		{"braces", "%7B" + id + "%7D", nil, nil, 404, noToken},
		{"no uuid", "x", nil, nil, 404, noToken},
		{"trailing line feed", id + "%0A", nil, nil, 404, noToken},
		{"last second", id, func(r *store.Token) { r.ExpiresAt = 1_700_000_001 }, nil, 200, ""},
		{"a moment too late", id, func(r *store.Token) { r.ExpiresAt = 1_700_000_000 }, nil, 404, noToken},
		{"scope", id + "?scope=confd.users.read", nil, nil, 200, ""},
		{"scope of his own", id + "?scope=auth.users." + userID + ".read", nil, nil, 200, ""},
		{"scope refused", id + "?scope=confd.users.update", nil, nil, 403, reason(403, "Unauthorized for confd.users.update")},
		{"empty scope", id + "?scope=", nil, nil, 403, reason(403, "Unauthorized for ")},
		{"scope without a value", id + "?scope", nil, nil, 403, reason(403, "Unauthorized for ")},
		{"scope badly encoded", id + "?scope=%zz", nil, nil, 403, reason(403, "Unauthorized for %zz")},
		{"scope in ASCII", id + "?scope=caf%C3%A9", nil, nil, 403, reason(403, "Unauthorized for cafe")},
		{"the first scope counts", id + "?scope=x&scope=confd.users.read", nil, nil, 403, reason(403, "Unauthorized for x")},
		{"own tenant", id + "?tenant=" + topTenant, nil, nil, 200, ""},
		{"tenant below", id + "?tenant=" + subTenant, nil, nil, 200, ""},
		{"empty tenant", id + "?tenant=", nil, nil, 200, ""},
		{"unrelated tenant", id + "?tenant=" + elsewhere, nil, nil, 403, reason(403, "Unauthorized for tenant "+elsewhere)},
		{"tenant in upper case", id + "?tenant=" + strings.ToUpper(topTenant), nil, nil, 403, ""},
		{"scope before tenant", id + "?tenant=" + elsewhere + "&scope=x", nil, nil, 403, reason(403, "Unauthorized for x")},
		{"user gone", id, nil, func(a *api) { a.store.tenant = "" }, 200, ""},
		{"user gone, tenant asked", id + "?tenant=" + topTenant, nil, func(a *api) { a.store.tenant = "" }, 404, `{"message": "No such user: \"` + userID + `\"", "error_id": "unknown-user", "details": {"uuid": "` + userID + `"}, "timestamp": 1700000000.123456, "resource": "users"}` + "\n"},
		{"user moved", id + "?tenant=" + topTenant, nil, func(a *api) { a.store.tenant = subTenant }, 403, ""},
		{"internal, any tenant", id + "?tenant=" + elsewhere, func(r *store.Token) { r.AuthID, r.Metadata = grant.InternalAuthID, "{}" }, nil, 200, ""},
		{"store down", id, nil, func(a *api) { a.store.err = errDown }, 503, unavailable},
		{"tenants down", id + "?tenant=" + subTenant, nil, func(a *api) { a.tenants.err = errDown }, 503, unavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t)
			a.insert(c.edit)
			if c.prepare != nil {
				c.prepare(a)
			}
			get := a.do(t, "GET", "/0.1/token/"+c.path, "")
			if get.Code != c.status || c.answer != "" && get.Body.String() != c.answer {
				t.Errorf("GET: %d %swant %d %s", get.Code, get.Body, c.status, c.answer)
			}
			if c.status == 200 && !strings.HasPrefix(get.Body.String(), `{"data":{"token":"`+id+`",`) {
				t.Errorf("GET: %s", get.Body)
			}
			head := a.do(t, "HEAD", "/0.1/token/"+c.path, "")
			want := c.status
			if want == 200 {
				want = 204
			}
			if head.Code != want || head.Header().Get("Content-Type") != "application/json" {
				t.Errorf("HEAD: %d %v, want %d", head.Code, head.Header(), want)
			}
			if head.Code == 204 && head.Body.Len()+len(head.Header()["Content-Length"]) != 0 {
				t.Errorf("HEAD has a body: %q %v", head.Body, head.Header())
			}
		})
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	const success = `{"data": {"message": "success"}}` + "\n"
	a := newAPI(t)
	id := a.insert(nil)
	check := func(what string, w *httptest.ResponseRecorder, status int, body string) {
		t.Helper()
		if w.Code != status || body != "" && w.Body.String() != body {
			t.Errorf("%s: %d %s, want %d %s", what, w.Code, w.Body, status, body)
		}
	}
	check("GET before", a.do(t, "GET", "/0.1/token/"+id, ""), 200, "")
	check("DELETE in upper case", a.do(t, "DELETE", "/0.1/token/"+strings.ToUpper(id), "ignored"), 200, success)
	check("GET after", a.do(t, "GET", "/0.1/token/"+id, ""), 404, reason(404, "No such token"))
	check("DELETE again", a.do(t, "DELETE", "/0.1/token/"+id, ""), 200, success)
	check("DELETE of no uuid", a.do(t, "DELETE", "/0.1/token/x", ""), 404, reason(404, "No such token"))
	if len(a.store.rows) != 0 {
		t.Error("the row is still there")
	}
}

// TestDelete_StoreDown: the row may be gone and only the answer lost, so the
// token is refused here whatever the store says, and the client told to try
// again.
func TestDelete_StoreDown(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	id := a.insert(nil)
	if w := a.do(t, "GET", "/0.1/token/"+id, ""); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	a.store.keeps = true
	if w := a.do(t, "DELETE", "/0.1/token/"+id, ""); w.Code != 503 || w.Body.String() != unavailable {
		t.Errorf("DELETE: %d %s", w.Code, w.Body)
	}
	if _, kept := a.store.rows[id]; !kept {
		t.Fatal("the store was to keep the row")
	}
	for _, method := range []string{"GET", "HEAD"} {
		if w := a.do(t, method, "/0.1/token/"+id, ""); w.Code != 404 {
			t.Errorf("%s afterwards: %d %s", method, w.Code, w.Body)
		}
	}
}

// FuzzLoginBody: whatever the body, the answer is 200, 400, 401, 404 or 413 and
// JSON.
func FuzzLoginBody(f *testing.F) {
	for _, s := range []string{
		"", "{}", "null", "[1]", `{"expiration": 1e400}`, `{"expiration": NaN}`, `{"backend": "other"}`,
		`{"tenant_id": "\ud800"}`, `{"expiration": "٣"}`, "\xff\xfe{\x00}\x00", `{"access_type": "offline", "client_id": "x"}`,
		`{"a": ` + strings.Repeat("[", 1000), `{"refresh_token": "", "client_id": "x", "saml_session_id": "y"}`,
	} {
		f.Add(s, "application/json", "Basic YWxpY2U6c2VjcmV0")
	}
	a := newAPI(f)
	a.service.Throttle = nil // it would soon let nobody in
	allowed := []int{200, 400, 401, 404, 413}
	f.Fuzz(func(t *testing.T, body, contentType, authorization string) {
		r := httptest.NewRequest(http.MethodPost, "/0.1/token", strings.NewReader(body))
		r.Header["Content-Type"], r.Header["Authorization"] = []string{contentType}, []string{authorization}
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if !slices.Contains(allowed, w.Code) || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
