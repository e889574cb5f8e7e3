package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var (
	at      = time.Unix(1_700_000_000, 250_000_000)
	discard = slog.New(slog.DiscardHandler)
)

func TestWriteError(t *testing.T) {
	t.Parallel()
	const (
		unavailable = `{"message": "Service Unavailable"}`
		failed      = `{"message": "Internal Server Error"}`
	)
	secret := errors.New("pq: password authentication failed for user xivo at 192.0.2.7")
	for _, c := range []struct {
		name   string
		err    error
		status int
		body   string
	}{
		{"restful", httpapi.Message(400, "Bad\n"), 400, `{"message": "Bad\n"}`},
		{"reason", httpapi.Reason(403, `Unauthorized for "é"`), 403, `{"reason": ["Unauthorized for \"\u00e9\""], "timestamp": [1700000000.25], "status_code": 403}`},
		{"API", httpapi.API(409, "conflict", "Conflict detected", httpapi.Details{{"username", map[string]any{"constraint_id": "unique"}}}, "users"), 409,
			`{"message": "Conflict detected", "error_id": "conflict", "details": {"username": {"constraint_id":"unique"}}, "timestamp": 1700000000.25, "resource": "users"}`},
		{"API without details and resource", httpapi.API(400, "invalid-data", "x", nil, ""), 400,
			`{"message": "x", "error_id": "invalid-data", "details": {}, "timestamp": 1700000000.25}`},
		{"shifted", httpapi.Shifted(400, "x", httpapi.Details{{"uuid", "t"}}, "tenants"), 400,
			`{"message": "x", "error_id": {"uuid": "t"}, "details": "tenants", "timestamp": 1700000000.25}`},
		{"details in their order", httpapi.API(400, "i", "m", httpapi.Details{{"z", "1"}, {"a", nil}, {"m", 3}}, ""), 400,
			`{"message": "m", "error_id": "i", "details": {"z": "1", "a": null, "m": 3}, "timestamp": 1700000000.25}`},
		{"a detail that cannot be said", httpapi.API(400, "i", "m", httpapi.Details{{"f", func() {}}}, ""), 400,
			`{"message": "m", "error_id": "i", "details": {"f": null}, "timestamp": 1700000000.25}`},
		{"unknown user", httpapi.UnknownUser("u\"1"), 404,
			`{"message": "No such user: \"u\"1\"", "error_id": "unknown-user", "details": {"uuid": "u\"1"}, "timestamp": 1700000000.25, "resource": "users"}`},
		{"unknown tenant", httpapi.UnknownTenant("t"), 404,
			`{"message": "No such tenant: \"t\"", "error_id": "unknown-tenant", "details": {"uuid": "t"}, "timestamp": 1700000000.25, "resource": "tenants"}`},
		{"unauthorized", httpapi.Unauthorized(401, "XX", "confd.#"), 401,
			`{"message": "Unauthorized", "error_id": "unauthorized", "details": {"invalid_token": "XX", "reason": "not_found_or_expired", "required_access": "confd.#"}, "timestamp": 1700000000.25}`},
		{"forbidden", httpapi.Forbidden(401, "XX", "confd.#", "t"), 401,
			`{"message": "Unauthorized", "error_id": "unauthorized", "details": {"invalid_token": "XX", "reason": "missing_permission_or_invalid_tenant", "required_access": "confd.#", "tenant_uuid": "t"}, "timestamp": 1700000000.25}`},
		{"forbidden without tenant", httpapi.Forbidden(403, "XX", "x", ""), 403,
			`{"message": "Unauthorized", "error_id": "unauthorized", "details": {"invalid_token": "XX", "reason": "missing_permission_or_invalid_tenant", "required_access": "x", "tenant_uuid": null}, "timestamp": 1700000000.25}`},
		{"auth unreachable", httpapi.AuthUnreachable(), 503,
			`{"message": "Authentication server unreachable", "error_id": "authentication-server-unreachable", "details": {"original_error": "the token store is unavailable"}, "timestamp": 1700000000.25}`},
		{"wrapped", fmt.Errorf("more: %w", httpapi.Reason(404, "x")), 404, `{"reason": ["x"], "timestamp": [1700000000.25], "status_code": 404}`},
		{"with a cause", httpapi.Reason(404, "x").Because(secret), 404, `{"reason": ["x"], "timestamp": [1700000000.25], "status_code": 404}`},
		{"body is no JSON", fmt.Errorf("%w: at 3", form.ErrSyntax), 400, `{"message": "The browser (or proxy) sent a request that this server could not understand."}`},
		{"body too large", form.ErrTooLarge, 413, `{"message": "The data value transmitted exceeds the capacity limit."}`},
		{"store down", fmt.Errorf("reading: %w: %w", store.ErrUnavailable, secret), 503, unavailable},
		{"schema of another time", fmt.Errorf("reading: %w", store.ErrSchema), 503, unavailable},
		{"the client left", fmt.Errorf("waiting: %w", context.Canceled), 503, unavailable},
		{"time is up", fmt.Errorf("waiting: %w", context.DeadlineExceeded), 503, unavailable},
		{"anything else", secret, 500, failed},
		{"not found where nobody expected it", store.ErrNotFound, 500, failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			httpapi.WriteError(w, httptest.NewRequest("GET", "/", nil), httpapi.NewLog(discard), at, c.err)
			if w.Code != c.status || w.Body.String() != c.body+"\n" {
				t.Errorf("%d %swant %d %s", w.Code, w.Body, c.status, c.body)
			}
			h := w.Header()
			if h.Get("Content-Type") != "application/json" || h.Get("Content-Length") != fmt.Sprint(w.Body.Len()) || h.Get("WWW-Authenticate") != "" {
				t.Errorf("header %v", h)
			}
			if (h.Get("Retry-After") != "") != (c.status == 503) {
				t.Errorf("Retry-After %q with %d", h.Get("Retry-After"), c.status)
			}
			if !json.Valid(w.Body.Bytes()) {
				t.Error("no JSON")
			}
		})
	}
}

func TestWriteError_Timestamp(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		at   time.Time
		want string
	}{
		{"whole second", time.Unix(1_700_000_000, 0), "1700000000"},
		{"microseconds", time.Unix(1_700_000_000, 123_456_789), "1700000000.123456"},
		{"no exponent", time.Unix(1, 1000), "1.000001"},
	} {
		w := httptest.NewRecorder()
		httpapi.WriteError(w, httptest.NewRequest("GET", "/", nil), httpapi.NewLog(discard), c.at, httpapi.Reason(404, "x"))
		if want := `{"reason": ["x"], "timestamp": [` + c.want + `], "status_code": 404}` + "\n"; w.Body.String() != want {
			t.Errorf("%s: %s", c.name, w.Body)
		}
	}
}

// TestWriteError_Log: what went wrong inside is logged and not told, and the
// log names no URL, which may hold a token.
func TestWriteError_Log(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		err    error
		logged bool
	}{
		{"ours", errors.New("the cause"), true},
		{"store down", fmt.Errorf("the cause: %w", store.ErrUnavailable), true},
		{"the client's", httpapi.Reason(404, "x").Because(errors.New("the cause")), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			w := httptest.NewRecorder()
			httpapi.WriteError(w, httptest.NewRequest("GET", "/0.1/token/secret?token=secret", nil), httpapi.NewLog(slog.New(slog.NewTextHandler(&log, nil))), at, c.err)
			if strings.Contains(log.String(), "the cause") != c.logged || strings.Contains(log.String(), "secret") {
				t.Errorf("log %q", &log)
			}
			if strings.Contains(w.Body.String(), "the cause") {
				t.Errorf("body %s", w.Body)
			}
		})
	}
}

func TestError_Because(t *testing.T) {
	t.Parallel()
	plain, cause := httpapi.Reason(404, "x"), errors.New("the cause")
	e := plain.Because(cause)
	if !errors.Is(e, cause) || errors.Is(plain, cause) || e.Error() != "404 x: the cause" || plain.Error() != "404 x" {
		t.Errorf("%v; %v", e, plain)
	}
}

// TestWrite_SharesNothing: whoever stands around a handler may edit the values
// of its headers in place, as Caddy does, and must not edit other answers.
func TestWrite_SharesNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		write func(http.ResponseWriter)
	}{
		{"WriteJSON", func(w http.ResponseWriter) { httpapi.WriteJSON(w, 200, []byte("{}")) }},
		{"NoContent", httpapi.NoContent},
		{"WriteUnavailable", httpapi.WriteUnavailable},
		{"CORS", func(w http.ResponseWriter) {
			httpapi.CORS{}.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			first := httptest.NewRecorder()
			c.write(first)
			for name, values := range first.Header() {
				for i := range values {
					values[i] = "spoilt"
				}
				first.Header()[name] = append(values, "spoilt, too")
			}
			second := httptest.NewRecorder()
			c.write(second)
			if len(second.Header()) == 0 || strings.Contains(fmt.Sprint(second.Header()), "spoilt") {
				t.Errorf("header %v", second.Header())
			}
			if !strings.Contains(fmt.Sprint(first.Header()), "spoilt, too") {
				t.Error("nothing was spoilt")
			}
		})
	}
}

func TestWriteUnavailable(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	httpapi.WriteUnavailable(w)
	if w.Code != 503 || w.Header().Get("Retry-After") != "1" || w.Body.String() != `{"message": "Service Unavailable"}`+"\n" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestRedactToken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"token", "01234567-89ab-4cde-8f01-23456789abcd", "XXXXXXXX6789abcd"},
		{"too short to be one", "hunter2", "XXXXXXXX"},
		{"31 bytes", strings.Repeat("s", 31), "XXXXXXXX"},
		{"32 bytes", strings.Repeat("s", 24) + "shown678", "XXXXXXXXshown678"},
		{"cut inside a character", strings.Repeat("s", 40) + "é1234567", "XXXXXXXXX1234567"},
	} {
		if got := httpapi.RedactToken(c.in); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
