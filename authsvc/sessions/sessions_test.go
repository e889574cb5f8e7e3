package sessions

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// lost is a store whose answer to a delete got lost: what it ended is told, and
// that nobody knows whether it happened.
type lost struct{ Store }

const token = "01234567-89ab-4cde-8f01-23456789abcd"

func (lost) DeleteSession(context.Context, string, string) ([]store.EndedToken, error) {
	return []store.EndedToken{{UUID: token}}, errors.Join(store.ErrUnavailable, errors.New("EOF"))
}

type anybody struct{}

func (anybody) Lookup(context.Context, string) (*grant.Grant, grant.State, error) {
	return grant.New(grant.Fields{AuthID: grant.InternalAuthID, Metadata: `{"tenant_uuid": "t"}`, ACL: acl.Compile([]string{"#"})}, time.Now()), grant.Hit, nil
}

func (anybody) Contains(context.Context, string, string) (bool, error) { return true, nil }

func (anybody) Top(context.Context) (string, error) { return "t", nil }

// When the rows may be gone, the token must not stay good in memory: the client
// who tries again is told of nothing to revoke.
func TestDelete_AnswerLost(t *testing.T) {
	t.Parallel()
	var revoked []uuid.UUID
	h := HTTP{Store: lost{}, Revoke: func(ids ...uuid.UUID) { revoked = append(revoked, ids...) }}
	mux := httpapi.NewMux(slog.New(slog.DiscardHandler), time.Now, httpapi.Access{Grants: anybody{}, Tenants: anybody{}}, h.Routes()...)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodDelete, "/0.1/sessions/"+token, nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", w.Code)
	}
	if len(revoked) != 1 || revoked[0] != uuid.MustParse(token) {
		t.Errorf("revoked %v", revoked)
	}
}
