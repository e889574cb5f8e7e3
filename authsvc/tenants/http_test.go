package tenants_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/slug"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/tenants"
)

const (
	tenantID = "01234567-89ab-4cde-8f01-23456789abcd"
	tokenID  = "11234567-89ab-4cde-8f01-23456789abcd"
)

// lost is a store whose answers get lost: nobody knows whether what was asked
// for happened.
type lost struct{ store.Tenants }

var errLost = errors.Join(store.ErrUnavailable, errors.New("EOF"))

func (lost) CreateTenant(context.Context, store.NewTenant) (store.TenantProfile, []string, error) {
	return store.TenantProfile{}, nil, errLost
}

func (lost) MoveTenant(context.Context, string, string, string) error { return errLost }

func (lost) DeleteTenant(context.Context, string, string) ([]store.EndedToken, error) {
	return []store.EndedToken{{UUID: tokenID}}, errLost
}

type anybody struct{}

func (anybody) Lookup(context.Context, string) (*grant.Grant, grant.State, error) {
	return grant.New(grant.Fields{AuthID: grant.InternalAuthID, Metadata: `{"tenant_uuid": "t"}`, ACL: acl.Compile([]string{"#"})}, time.Now()), grant.Hit, nil
}

func (anybody) Contains(context.Context, string, string) (bool, error) { return true, nil }

func (anybody) Top(context.Context) (string, error) { return "t", nil }

// room serves a store, and notes what it does besides.
type room struct {
	http.Handler
	expired int
	revoked []uuid.UUID
	log     strings.Builder
}

func (r *room) Expire() { r.expired++ }

func newRoom(s store.Tenants, defaults *store.Defaults) *room {
	r := &room{}
	h := tenants.HTTP{
		Store: s, Tree: r, Revoke: func(ids ...uuid.UUID) { r.revoked = append(r.revoked, ids...) },
		ValidMethod: func(name string) bool { return name == store.MethodNative },
		Defaults:    func() *store.Defaults { return defaults }, Random: slug.Any,
		Log: slog.New(slog.NewTextHandler(&r.log, nil)),
	}
	r.Handler = httpapi.NewMux(slog.New(slog.DiscardHandler), time.Now, httpapi.Access{Grants: anybody{}, Tenants: anybody{}}, h.Routes()...)
	return r
}

func (r *room) do(t *testing.T, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/0.1/tenants"+path, strings.NewReader(body)))
	return w
}

// When a change may have happened, nothing in memory must stay that it ends.
func TestHTTP_AnswerLost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, method, path, body string
		revoked                  int
	}{
		{"create", "POST", "", "{}", 0},
		{"move", "PUT", "/" + tenantID + "/parent/" + tokenID, "", 0},
		{"delete", "DELETE", "/" + tenantID, "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(lost{}, nil)
			if w := r.do(t, c.method, c.path, c.body); w.Code != http.StatusServiceUnavailable {
				t.Errorf("status %d, want 503", w.Code)
			}
			if r.expired != 1 {
				t.Errorf("the tree was expired %d times", r.expired)
			}
			if len(r.revoked) != c.revoked || c.revoked > 0 && r.revoked[0] != uuid.MustParse(tokenID) {
				t.Errorf("revoked %v", r.revoked)
			}
		})
	}
}

// creating notes what a tenant is created from.
type creating struct {
	store.Tenants
	got store.NewTenant
}

func (s *creating) CreateTenant(_ context.Context, n store.NewTenant) (store.TenantProfile, []string, error) {
	s.got = n
	return n.TenantProfile, []string{"lacking"}, nil
}

// The defaults in force go to the store, and what they lack to the log.
func TestHTTP_CreateWithDefaults(t *testing.T) {
	t.Parallel()
	s := &creating{}
	r := newRoom(s, &store.Defaults{AllUsers: store.DefaultPolicies{"lacking": true}})
	if w := r.do(t, "POST", "", `{"name": "x", "slug": "y"}`); w.Code != http.StatusOK {
		t.Fatal(w.Code, w.Body)
	}
	if !s.got.Defaults.AllUsers["lacking"] || s.got.Parent != "t" || len(s.got.Slugs) != 1 || s.got.Slugs[0] != "y" {
		t.Errorf("created from %+v", s.got)
	}
	if !strings.Contains(r.log.String(), "lacking") {
		t.Errorf("log: %s", r.log.String())
	}
}
