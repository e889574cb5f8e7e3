// Package tokens is the token resource: issuing, checking and revoking tokens,
// and removing those that expired (contract: token.md).
package tokens

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Store is what this room needs of a store.
type Store interface {
	store.Tokens
	store.Logins
	store.RefreshTokens
	httpapi.Users
}

// Grants is the cache of grants.
type Grants interface {
	Lookup(ctx context.Context, token string) (*grant.Grant, grant.State, error)
	Put(g *grant.Grant)
	Revoke(tokens ...uuid.UUID)
}

// Compiler interns access lists.
type Compiler interface {
	Compile(accesses []string) (compiled *acl.ACL, fresh bool)
}

// Tenants answers questions about the tenant tree.
type Tenants interface {
	Contains(ctx context.Context, ancestor, tenant string) (bool, error)
	Find(ctx context.Context, id string) (uuid string, ok bool, err error)
}

// Settings can change while the service runs.
type Settings struct {
	// Lifetime of a token whose client asks for none. Whole seconds.
	Lifetime time.Duration
	// DefaultUserPolicy names the policy of the top tenant whose accesses
	// every token gets first; "" for none.
	DefaultUserPolicy string
	// BackendPolicies names it by backend, before DefaultUserPolicy.
	BackendPolicies map[string]string
	// MaxSessions is how many sessions a user may have; 0 means any number.
	// Users of purpose internal may have any number.
	MaxSessions int
	// AdminStatus adds to the metadata of users whether they are
	// administrators: the plugin user_admin_status of the reference.
	AdminStatus bool
	// Backends are the ways to log in.
	Backends *backends.Set
}

// Config is what a [Service] is made of.
type Config struct {
	Store   Store
	Grants  Grants
	ACLs    Compiler
	Tenants Tenants
	// Throttle may be nil: then nobody is slowed down.
	Throttle httpapi.Throttle
	Now      func() time.Time
	// XiVOUUID is shown as xivo_uuid; "" is null.
	XiVOUUID string
	// Location is the zone of issued_at and expires_at.
	Location *time.Location
}

// Service issues, checks and revokes tokens. Safe for concurrent use.
type Service struct {
	Config
	settings atomic.Pointer[Settings]
}

// New returns a service with s in force.
func New(c Config, s Settings) *Service {
	svc := &Service{Config: c}
	svc.Apply(s)
	return svc
}

// Apply puts s in force for the next request.
func (s *Service) Apply(set Settings) { s.settings.Store(&set) }

// The answers of this room (errors.md §2.1).
var (
	errAuthenticationFailed = httpapi.AuthenticationFailed()
	errNoSuchToken          = httpapi.Reason(http.StatusNotFound, "No such token")
)

// lookup returns what token grants; a token that is none is 404.
func (s *Service) lookup(ctx context.Context, token string) (*grant.Grant, error) {
	g, _, err := s.Grants.Lookup(ctx, token)
	if errors.Is(err, grant.ErrUnknown) {
		return nil, errNoSuchToken
	}
	return g, err
}

// checkTenant reports with an error whether g may act in tenant: the user's
// own current tenant or one below it (token.md §8).
func (s *Service) checkTenant(ctx context.Context, g *grant.Grant, tenant string) error {
	switch {
	case g.IsInternal() || g.TenantIs(tenant):
		return nil
	case !g.UserExists():
		return httpapi.UnknownUser(g.AuthID())
	}
	ok, err := s.Tenants.Contains(ctx, g.UserTenant(), tenant)
	if err == nil && !ok {
		err = httpapi.Reason(http.StatusForbidden, "Unauthorized for tenant "+tenant)
	}
	return err
}

// revoke deletes the token, if there is one, and returns when no later request
// on this node can use it.
func (s *Service) revoke(ctx context.Context, token string) error {
	id, err := uuid.Parse(token)
	if err != nil {
		return errNoSuchToken
	}
	_, err = s.Store.DeleteToken(ctx, token)
	// Also after an error: the row may be gone and only the answer lost.
	s.Grants.Revoke(id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return nil
}
