// Package tokens is the token resource: issuing, checking and revoking tokens,
// and removing those that expired (contract: token.md).
package tokens

import (
	"context"
	"errors"
	"fmt"
	"math"
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
	UserAccesses(ctx context.Context, userUUID, basePolicy string) ([]string, error)
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
	// DefaultUserPolicy names the policy whose accesses every token gets
	// first; "" for none.
	DefaultUserPolicy string
	// BackendPolicies names it by backend, before DefaultUserPolicy.
	BackendPolicies map[string]string
	// Backends are the ways to log in.
	Backends *backends.Set
}

// Config is what a [Service] is made of.
type Config struct {
	Store   Store
	Grants  Grants
	ACLs    Compiler
	Tenants Tenants
	Now     func() time.Time
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
	errAuthenticationFailed = httpapi.Reason(http.StatusUnauthorized, "Authentication Failed")
	errNoSuchToken          = httpapi.Reason(http.StatusNotFound, "No such token")
)

// issued is a new token with the instant it was made at, which is finer than
// what is stored.
type issued struct {
	grant *grant.Grant
	at    time.Time
}

// issue logs the attempt in and stores a new token for whoever it was.
func (s *Service) issue(ctx context.Context, l login) (issued, error) {
	set := s.settings.Load()
	backend, err := s.choose(ctx, set, l)
	if err != nil {
		return issued{}, err
	}
	who, err := backend.Authenticate(ctx, l.attempt)
	switch {
	case errors.Is(err, backends.ErrRefused):
		return issued{}, errAuthenticationFailed
	case err != nil:
		return issued{}, fmt.Errorf("authenticating with %s: %w", backend.Name(), err)
	}
	policy, ok := set.BackendPolicies[l.backend]
	if !ok {
		policy = set.DefaultUserPolicy
	}
	accesses, err := s.Store.UserAccesses(ctx, who.AuthID, policy)
	if err != nil {
		return issued{}, fmt.Errorf("reading what a user may access: %w", err)
	}

	lifetime := l.expiration
	if lifetime == 0 {
		lifetime = int64(set.Lifetime / time.Second)
	}
	at := s.Now().Truncate(time.Microsecond)
	if at.Unix()+lifetime > math.MaxInt32 {
		// The column is an int4 (schema.md §1). Better to say so than to
		// let the database fail on it.
		return issued{}, errBeyond2038
	}
	token, session := uuid.New(), uuid.New()
	row := store.Token{
		UUID:        token.String(),
		AuthID:      who.AuthID,
		PBXUserUUID: who.PBXUserUUID,
		XiVOUUID:    s.XiVOUUID,
		IssuedAt:    at.Unix(),
		ExpiresAt:   at.Unix() + lifetime,
		Metadata:    grant.Metadata(who.AuthID, who.TenantUUID, who.PBXUserUUID, s.XiVOUUID, who.Purpose),
		SessionUUID: session.String(),
		UserAgent:   l.userAgent,
		RemoteAddr:  l.remoteAddr,
		ACL:         accesses,
		UserTenant:  who.TenantUUID,
	}
	if err := s.Store.CreateToken(ctx, store.Session{UUID: row.SessionUUID, Mobile: l.mobile, TenantUUID: who.TenantUUID}, row); err != nil {
		return issued{}, fmt.Errorf("storing a token: %w", err)
	}
	g := toGrant(token, row, s.ACLs, s.Now())
	s.Grants.Put(g)
	return issued{g, at}, nil
}

// choose picks who checks the attempt (token.md §4). The identity providers of
// other methods come first when the body names what only they know; none of
// them is built in yet, and an attempt meant for one must not fall through to
// the native password.
func (s *Service) choose(ctx context.Context, set *Settings, l login) (backends.Backend, error) {
	b, err := set.Backends.Named(l.backend)
	if err != nil || l.refresh || l.saml {
		return nil, errAuthenticationFailed
	}
	if l.attempt.Login != "" && l.tenantID != nil {
		if _, ok, err := s.Tenants.Find(ctx, *l.tenantID); err != nil {
			return nil, err
		} else if !ok {
			return nil, httpapi.UnknownTenant(*l.tenantID)
		}
	}
	if l.attempt.Login == "" || l.tenantID != nil || l.domain {
		return nil, errAuthenticationFailed
	}
	return b, nil
}

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
		return fmt.Errorf("deleting a token: %w", err)
	}
	return nil
}
