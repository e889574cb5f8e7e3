package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/ascii"
	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// issued is the outcome of a login.
type issued struct {
	grant        *grant.Grant
	at           time.Time // finer than what is stored
	refreshToken string    // "" unless the login was offline
	revoked      int       // sessions that ended for it
}

// issue logs the attempt in and stores a new token for whoever it was.
func (s *Service) issue(ctx context.Context, l login) (issued, error) {
	set := s.settings.Load()
	// The tenant and all else that is told of the user is read now: his password
	// may take its time, and he be moved while it does. Who is told that he was
	// must find that this grant is older.
	began := s.Now()
	who, persistent, err := s.identify(ctx, set, l)
	if err != nil {
		return issued{}, err
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
	metadata, err := s.metadata(ctx, set, who, persistent)
	if err != nil {
		return issued{}, err
	}
	token, session := uuid.New(), uuid.NewString()
	n := store.NewToken{
		Session: store.Session{UUID: session, Mobile: l.mobile, TenantUUID: who.TenantUUID},
		Token: store.Token{
			UUID:        token.String(),
			AuthID:      who.AuthID,
			PBXUserUUID: who.PBXUserUUID,
			XiVOUUID:    s.XiVOUUID,
			IssuedAt:    at.Unix(),
			ExpiresAt:   at.Unix() + lifetime,
			Metadata:    metadata,
			SessionUUID: session,
			UserAgent:   l.userAgent,
			RemoteAddr:  l.remoteAddr,
			UserTenant:  who.TenantUUID,
		},
		BasePolicy:   basePolicy(set, l.backend),
		PasswordHash: who.PasswordHash,
	}
	if who.Purpose != store.PurposeInternal && store.NamesUser(who.AuthID) {
		n.MaxSessions = set.MaxSessions
	}
	if l.refresh {
		n.RefreshToken = l.refreshToken
	}
	out := issued{at: at}
	if l.offline {
		err = s.storeOffline(ctx, &n, l, &out)
	} else {
		n.Token.ACL, err = s.Store.IssueToken(ctx, n)
	}
	if errors.Is(err, store.ErrLimit) {
		return issued{}, httpapi.Reason(http.StatusTooManyRequests,
			"User "+who.AuthID+" has exceeded the maximum number of active sessions")
	}
	if errors.Is(err, store.ErrNotFound) {
		// The user or his refresh token went while the login was under way.
		return issued{}, errAuthenticationFailed
	}
	if err != nil {
		return issued{}, err
	}
	out.grant = toGrant(token, n.Token, s.ACLs, began)
	s.Grants.Put(out.grant)
	return out, nil
}

// basePolicy names the policy whose accesses come first (token.md §5).
func basePolicy(set *Settings, backend string) string {
	if p, ok := set.BackendPolicies[backend]; ok {
		return p
	}
	return set.DefaultUserPolicy
}

// storeOffline stores the token with a refresh token and takes what that
// replaced out of the cache.
func (s *Service) storeOffline(ctx context.Context, n *store.NewToken, l login, out *issued) error {
	o, err := s.Store.IssueOfflineToken(ctx, *n, store.RefreshToken{
		UUID:       uuid.NewString(),
		ClientID:   l.clientID,
		UserUUID:   n.Token.AuthID,
		Backend:    l.backend,
		Login:      l.attempt.Login,
		UserAgent:  l.userAgent,
		RemoteAddr: l.remoteAddr,
		CreatedAt:  out.at,
		Mobile:     l.mobile,
	})
	s.Grants.Revoke(store.TokenUUIDs(o.Ended)...) // also beside an error, as in revoke
	if err != nil {
		return err
	}
	sessions := make(map[string]bool, len(o.Ended))
	for _, e := range o.Ended {
		sessions[e.SessionUUID] = true
	}
	n.Token.ACL, out.refreshToken, out.revoked = o.ACL, o.RefreshToken, len(sessions)
	return nil
}

// identify tells who is logging in, and the persistent metadata of the refresh
// token he does it with. The order is that of token.md §4: a refresh token
// before anything else; then the identity providers of other methods, when the
// body names what only they know; then the login and password. None of those
// providers is built in yet, and an attempt that is meant for one must not
// fall through to the native password.
func (s *Service) identify(ctx context.Context, set *Settings, l login) (who backends.Identity, persistent string, err error) {
	backend, err := set.Backends.Named(l.backend)
	if err != nil {
		return who, "", errAuthenticationFailed
	}
	if l.refresh {
		return s.refresh(ctx, l)
	}
	if l.saml || l.attempt.Login == "" {
		return who, "", errAuthenticationFailed
	}
	if l.tenantID != nil {
		if _, ok, err := s.Tenants.Find(ctx, *l.tenantID); err != nil {
			return who, "", err
		} else if !ok {
			return who, "", httpapi.UnknownTenant(*l.tenantID)
		}
	}
	if l.tenantID != nil || l.domain {
		return who, "", errAuthenticationFailed
	}
	if err := httpapi.SlowDown(s.Throttle, l.attempt.Login, l.remoteAddr); err != nil {
		return who, "", err
	}
	who, err = backend.Authenticate(ctx, l.attempt)
	switch {
	case errors.Is(err, backends.ErrRefused):
		httpapi.Failed(s.Throttle, l.attempt.Login, l.remoteAddr)
		return who, "", errAuthenticationFailed
	case errors.Is(err, backends.ErrBusy):
		return who, "", httpapi.Busy(err)
	}
	return who, "", err
}

// refresh identifies by refresh token. Credentials, right or wrong, do not
// matter. Guesses are throttled by address alone: a refresh token is 122
// random bits, but each guess costs a query.
func (s *Service) refresh(ctx context.Context, l login) (who backends.Identity, persistent string, err error) {
	if err := httpapi.SlowDown(s.Throttle, "", l.remoteAddr); err != nil {
		return who, "", err
	}
	c, r, err := s.Store.CredentialsByRefreshToken(ctx, l.refreshToken, l.clientID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		httpapi.Failed(s.Throttle, "", l.remoteAddr)
		return who, "", errAuthenticationFailed
	case err != nil:
		return who, "", err
	case c.EffectiveMethod != store.MethodNative:
		return who, "", errAuthenticationFailed // no provider of that method
	}
	return backends.IdentityOf(c.User), r.Metadata, nil
}

// metadata spells the token's metadata: what is persistent under what is fresh
// (token.md §5). Where nothing is added to the usual, it is the usual text,
// which a grant need not keep.
func (s *Service) metadata(ctx context.Context, set *Settings, who backends.Identity, persistent string) (string, error) {
	usual := grant.Metadata(who.AuthID, who.TenantUUID, who.PBXUserUUID, s.XiVOUUID, who.Purpose)
	var kept map[string]json.RawMessage
	if persistent != "" {
		// A row that another program wrote badly must not cost the login.
		_ = json.Unmarshal([]byte(persistent), &kept)
	}
	withAdmin := set.AdminStatus && who.Purpose == store.PurposeUser
	if len(kept) == 0 && !withAdmin {
		return usual, nil
	}
	b := []byte{'{'}
	var fresh map[string]json.RawMessage
	if err := json.Unmarshal([]byte(usual), &fresh); err != nil {
		return "", fmt.Errorf("spelling metadata: %w", err)
	}
	for _, key := range slices.Sorted(maps.Keys(kept)) {
		if _, replaced := fresh[key]; !replaced && (!withAdmin || key != "admin") {
			b = append(ascii.AppendString(b, key), ": "...)
			b = append(append(b, kept[key]...), ", "...)
		}
	}
	b = append(b, usual[1:len(usual)-1]...)
	if withAdmin {
		admin, err := s.Store.UserIsAdmin(ctx, who.AuthID)
		if err != nil {
			return "", err
		}
		b = strconv.AppendBool(append(b, `, "admin": `...), admin)
	}
	return string(append(b, '}')), nil
}

// IssueInternal stores a token that the service issues to itself (token.md
// §12): it has no user, no session limit, and metadata that names the tenant
// at most.
func (s *Service) IssueInternal(ctx context.Context, accesses []string, lifetime time.Duration, tenant, userAgent string) (*grant.Grant, error) {
	token, session, now := uuid.New(), uuid.NewString(), s.Now()
	row := store.Token{
		UUID: token.String(), AuthID: grant.InternalAuthID, SessionUUID: session,
		IssuedAt: now.Unix(), ExpiresAt: now.Add(lifetime).Unix(),
		Metadata: `{"tenant_uuid": ` + string(ascii.AppendString(nil, tenant)) + `}`,
		ACL:      accesses, UserAgent: userAgent, RemoteAddr: "127.0.0.1",
	}
	if err := s.Store.CreateToken(ctx, store.Session{UUID: session, TenantUUID: tenant}, row); err != nil {
		return nil, err
	}
	g := toGrant(token, row, s.ACLs, now)
	s.Grants.Put(g)
	return g, nil
}
