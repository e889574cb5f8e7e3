package caddymodule

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/tracing"
	"github.com/google/uuid"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// spanBox is where the tracing directive sends its spans to. There is one, as
// there is one exporter of that name.
type spanBox struct {
	mu   sync.Mutex
	list []sdktrace.ReadOnlySpan
}

var traced spanBox

func init() {
	autoexport.RegisterSpanExporter("xivo_auth_test", func(context.Context) (sdktrace.SpanExporter, error) { return &traced, nil })
}

// ExportSpans implements [sdktrace.SpanExporter].
func (b *spanBox) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, spans...)
	return nil
}

// Shutdown implements [sdktrace.SpanExporter].
func (*spanBox) Shutdown(context.Context) error { return nil }

// of waits for the spans of a trace, whose last is Caddy's own, and returns
// them with that first and the others in the order they began.
func (b *spanBox) of(t *testing.T, id trace.TraceID) (spans []sdktrace.ReadOnlySpan) {
	t.Helper()
	eventually(t, "the spans are exported", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		spans = nil
		for _, s := range b.list {
			if s.SpanContext().TraceID() == id {
				spans = append(spans, s)
			}
		}
		return slices.ContainsFunc(spans, func(s sdktrace.ReadOnlySpan) bool { return s.Name() == "incoming" })
	})
	slices.SortFunc(spans, func(a, b sdktrace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	return spans
}

// attributesOf are those of a span that are ours.
func attributesOf(s sdktrace.ReadOnlySpan) map[string]string {
	all := map[string]string{}
	for _, a := range s.Attributes() {
		all[string(a.Key)] = a.Value.String()
	}
	return all
}

// TestTraces: a request that is traced has spans of the decision and of what
// the store was asked below Caddy's own, each with how it went, and none with
// whom it was about. One that is not has none.
func TestTraces(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "xivo_auth_test")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "5") // milliseconds
	n, w := newNode(t), theWorld(t)
	now := setClock(t)
	token := mintIn(t, openDB(t, n.db), w.alice, now.now().Add(time.Hour), "confd.users.*.read")
	revoked, unknown := uuid.NewString(), uuid.NewString()
	n.start(`stale_if_error 30s
cache {
	grants 1000
	max_age 10s
	negative 100 1h
}
service confd {
	prefix /confd
	route GET /users/{user_uuid} confd.users.{user_uuid}.read
	route DELETE /users/{user_uuid} confd.users.{user_uuid}.delete
	route GET /public public
}`, `http://:<port> {
	tracing {
		span incoming
	}
	handle /0.1/* {
		xivo_auth_api
	}
	handle /verify/* {
		xivo_auth_verify confd {
			request own /verify
		}
	}
	handle /forwarded {
		xivo_auth_verify confd
	}
	handle /shadow/* {
		xivo_auth_guard {
			scope nobody.has
			shadow
		}
		respond allowed
	}
	handle {
		xivo_auth_guard
		respond allowed
	}
}`)
	user := "/confd/users/" + w.alice.UUID
	const store = "xivo_auth reading a token"
	type attrs = map[string]string
	for _, c := range []struct {
		name, method, path, token string
		before                    func()
		status                    int
		span                      string
		want                      attrs
		below                     []string // spans below ours, with their outcome
		failed                    bool
	}{
		{name: "miss", path: user, token: token, status: 200, span: "guard", below: []string{store + " ok"},
			want: attrs{attrVerdict: "allow", attrReason: "granted", attrCache: "miss", attrService: "confd", attrRoute: "/users/{user_uuid}"}},
		{name: "hit", path: user, token: token, status: 200, span: "guard",
			want: attrs{attrVerdict: "allow", attrReason: "granted", attrCache: "hit", attrService: "confd", attrRoute: "/users/{user_uuid}"}},
		{name: "missing access", method: "DELETE", path: user, token: token, status: 401, span: "guard",
			want: attrs{attrVerdict: "forbidden", attrReason: "missing_access", attrCache: "hit", attrService: "confd", attrRoute: "/users/{user_uuid}"}},
		{name: "unknown", path: user, token: unknown, status: 401, span: "guard", below: []string{store + " not_found"},
			want: attrs{attrVerdict: "unauthenticated", attrReason: "unknown_token", attrCache: "miss", attrService: "confd", attrRoute: "/users/{user_uuid}"}},
		{name: "known to be unknown", path: user, token: unknown, status: 401, span: "guard",
			want: attrs{attrVerdict: "unauthenticated", attrReason: "unknown_token", attrCache: "negative", attrService: "confd", attrRoute: "/users/{user_uuid}"}},
		{name: "no token's text", path: user, token: "secret", status: 401, span: "guard",
			want: attrs{attrVerdict: "unauthenticated", attrReason: "unknown_token", attrCache: "refused", attrService: "confd", attrRoute: "/users/{user_uuid}"}},
		{name: "no token", path: user, status: 401, span: "guard",
			want: attrs{attrVerdict: "unauthenticated", attrReason: "no_token", attrService: "confd", attrRoute: "/users/{user_uuid}"}},
		{name: "public", path: "/confd/public", status: 200, span: "guard",
			want: attrs{attrVerdict: "anonymous", attrReason: "public", attrService: "confd", attrRoute: "/public"}},
		{name: "no route", path: "/elsewhere", token: token, status: 403, span: "guard",
			want: attrs{attrVerdict: "forbidden", attrReason: "no_route"}},
		{name: "shadow", path: "/shadow/x", token: token, status: 200, span: "guard",
			want: attrs{attrVerdict: "forbidden", attrReason: "missing_access", attrCache: "hit", attrShadow: "true"}},
		{name: "verify", path: "/verify" + user, token: token, status: 200, span: "verify",
			want: attrs{attrVerdict: "allow", attrReason: "granted", attrCache: "hit", attrService: "confd", attrRoute: "/users/{user_uuid}"}},
		{name: "verify, asked by nobody we trust", path: "/forwarded", token: token, status: 403, span: "verify",
			want: attrs{attrVerdict: "forbidden", attrReason: "untrusted_proxy"}},
		{name: "API", path: "/0.1/token/" + token, status: 200, span: "api", want: attrs{attrRoute: "/0.1/token/{token_uuid}"}},
		{name: "API, nothing there", path: "/0.1/tokens/" + token + "/x", status: 404, span: "api", want: attrs{attrRoute: "/"}},
		{name: "API, reading", path: "/0.1/token/" + revoked, status: 404, span: "api", below: []string{store + " not_found"},
			want: attrs{attrRoute: "/0.1/token/{token_uuid}"}},
		{name: "degraded", path: user, token: token, status: 200, span: "guard",
			before: func() { n.switches().down.Store(true); now.advance(20 * time.Second) },
			want:   attrs{attrVerdict: "allow", attrReason: "granted", attrCache: "degraded", attrService: "confd", attrRoute: "/users/{user_uuid}"}},
		{name: "the store is down", path: user, token: uuid.NewString(), status: 503, span: "guard", failed: true,
			want: attrs{attrVerdict: "unavailable", attrReason: "store_unavailable", attrCache: "miss", attrService: "confd", attrRoute: "/users/{user_uuid}"}},
	} {
		if c.before != nil {
			c.before()
		}
		if c.method == "" {
			c.method = http.MethodGet
		}
		id, client := trace.TraceID(uuid.New()), trace.SpanID{1, 2, 3, 4, 5, 6, 7, 8}
		headers := []string{"Traceparent", fmt.Sprintf("00-%s-%s-01", id, client)}
		if c.token != "" {
			headers = append(headers, "X-Auth-Token", c.token)
		}
		if r := n.do(c.method, n.url(c.path), "", headers...); r.status != c.status {
			t.Errorf("%s: %d %s", c.name, r.status, r.body)
		}
		spans := traced.of(t, id)
		if len(spans) != 2+len(c.below) {
			t.Fatalf("%s: %d spans, want %d", c.name, len(spans), 2+len(c.below))
		}
		incoming, ours := spans[0], spans[1]
		if incoming.Parent().SpanID() != client || ours.Name() != "xivo_auth "+c.span || ours.Parent().SpanID() != incoming.SpanContext().SpanID() {
			t.Errorf("%s: %s is below %v, which is below %v", c.name, ours.Name(), incoming.Name(), incoming.Parent().SpanID())
		}
		if got := attributesOf(ours); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if failed := ours.Status().Code == codes.Error; failed != c.failed {
			t.Errorf("%s: status %v", c.name, ours.Status())
		}
		for i, s := range spans[2:] {
			if got := s.Name() + " " + attributesOf(s)[attrOutcome]; got != c.below[i] || s.Parent().SpanID() != ours.SpanContext().SpanID() {
				t.Errorf("%s: %s, want %s, below ours", c.name, got, c.below[i])
			}
		}
		for i, s := range spans {
			text := fmt.Sprint(s.Name(), s.Status(), s.Events(), s.Links(), attributesOf(s))
			secrets := []string{token, unknown, revoked, "secret"}
			if i > 0 { // Caddy's own tells the path, but not this API's
				secrets = append(secrets, w.alice.UUID, "alice", "elsewhere", "127.0.0.1", n.db)
			}
			for _, secret := range secrets {
				if strings.Contains(text, secret) {
					t.Errorf("%s: a span tells %s: %s", c.name, secret, text)
				}
			}
		}
	}

	// Not sampled.
	id := trace.TraceID(uuid.New())
	n.do("GET", n.url(user), "", "X-Auth-Token", token, "Traceparent", fmt.Sprintf("00-%s-0102030405060708-00", id))
	next := trace.TraceID(uuid.New())
	n.do("GET", n.url(user), "", "X-Auth-Token", token, "Traceparent", fmt.Sprintf("00-%s-0102030405060708-01", next))
	traced.of(t, next)
	for _, s := range traced.list {
		if s.SpanContext().TraceID() == id {
			t.Errorf("a request that is not sampled has a span %s", s.Name())
		}
	}
}

// TestTraces_None: what a request without a trace costs.
func TestTraces_None(t *testing.T) {
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		_, span := childSpan(ctx, "x")
		endDecision(span, nil, false)
		_, end := traceStore(ctx, "reading a token")
		end("ok")
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
