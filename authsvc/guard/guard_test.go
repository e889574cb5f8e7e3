package guard_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
)

const (
	good      = "01234567-89ab-4cde-8f01-23456789abcd"
	internal  = "11234567-89ab-4cde-8f01-23456789abcd"
	orphan    = "21234567-89ab-4cde-8f01-23456789abcd" // its user was deleted
	unknown   = "31234567-89ab-4cde-8f01-23456789abcd"
	user      = "6f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c"
	own       = "7f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c"
	sub       = "8f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c"
	unrelated = "9f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c"
)

var errDown = errors.New("connection refused")

// fakeGrants is a store of three tokens.
type fakeGrants struct {
	err   error
	asked int
}

func (f *fakeGrants) Lookup(_ context.Context, token string) (*grant.Grant, grant.State, error) {
	f.asked++
	if f.err != nil {
		return nil, grant.Miss, f.err
	}
	fields := grant.Fields{
		AuthID: user, SessionUUID: unknown, ExpiresAt: 2_000_000_000,
		ACL: acl.Compile([]string{"confd.users.read", "auth.users.me.edit", "!confd.secret", "confd.secret"}),
	}
	switch token {
	case good:
		fields.UserTenant = own
	case internal:
		fields.AuthID = grant.InternalAuthID
	case orphan:
	default:
		return nil, grant.Negative, grant.ErrUnknown
	}
	fields.Token = uuid.MustParse(token)
	return grant.New(fields, time.Now()), grant.Hit, nil
}

// fakeTenants knows that sub is below own.
type fakeTenants struct {
	err   error
	asked int
}

func (f *fakeTenants) Contains(_ context.Context, ancestor, tenant string) (bool, error) {
	f.asked++
	return f.err == nil && (ancestor == tenant || ancestor == own && tenant == sub), f.err
}

// scoped is a request to a guard with one scope.
type scoped struct {
	Tokens, Tenants []string
	Required        string
}

func TestGuard_Decide(t *testing.T) {
	t.Parallel()
	one := func(s string) []string { return []string{s} }
	for _, c := range []struct {
		name                  string
		request               scoped
		grantsErr, tenantsErr error
		verdict               guard.Verdict
		reason                guard.Reason
		tenant                string // of the decision
		lookups, tenantsAsked int
	}{
		{"nothing", scoped{}, nil, nil, guard.Unauthenticated, guard.NoToken, "", 0, 0},
		{"empty token", scoped{Tokens: one("")}, nil, nil, guard.Unauthenticated, guard.NoToken, "", 0, 0},
		{"two tokens", scoped{Tokens: []string{good, unknown}}, nil, nil, guard.Malformed, guard.DuplicateToken, "", 0, 0},
		{"the same token twice", scoped{Tokens: []string{good, good}}, nil, nil, guard.Malformed, guard.DuplicateToken, "", 0, 0},
		{"a token and an empty one", scoped{Tokens: []string{good, ""}}, nil, nil, guard.Malformed, guard.DuplicateToken, "", 0, 0},
		{"two empty tokens", scoped{Tokens: []string{"", ""}}, nil, nil, guard.Malformed, guard.DuplicateToken, "", 0, 0},
		{"two tenants", scoped{Tokens: one(good), Tenants: []string{own, own}}, nil, nil, guard.Malformed, guard.DuplicateTenant, "", 0, 0},
		{"two tenants and no token", scoped{Tenants: []string{own, sub}}, nil, nil, guard.Malformed, guard.DuplicateTenant, "", 0, 0},
		{"unknown token", scoped{Tokens: one(unknown)}, nil, nil, guard.Unauthenticated, guard.UnknownToken, "", 1, 0},
		{"no token at all", scoped{Tokens: one("x\x00")}, nil, nil, guard.Unauthenticated, guard.UnknownToken, "", 1, 0},
		{"store down", scoped{Tokens: one(good)}, errDown, nil, guard.Unavailable, guard.StoreDown, "", 1, 0},
		{"store says unknown, wrapped", scoped{Tokens: one(good)}, fmt.Errorf("reading: %w", grant.ErrUnknown), nil, guard.Unauthenticated, guard.UnknownToken, "", 1, 0},
		{"a token is enough", scoped{Tokens: one(good)}, nil, nil, guard.Allow, guard.Granted, "", 1, 0},
		{"has the access", scoped{Tokens: one(good), Required: "confd.users.read"}, nil, nil, guard.Allow, guard.Granted, "", 1, 0},
		{"has the access for himself", scoped{Tokens: one(good), Required: "auth.users." + user + ".edit"}, nil, nil, guard.Allow, guard.Granted, "", 1, 0},
		{"lacks the access", scoped{Tokens: one(good), Required: "confd.users.update"}, nil, nil, guard.Forbidden, guard.MissingAccess, "", 1, 0},
		{"lacks the access for another", scoped{Tokens: one(good), Required: "auth.users." + own + ".edit"}, nil, nil, guard.Forbidden, guard.MissingAccess, "", 1, 0},
		{"negative access", scoped{Tokens: one(good), Required: "confd.secret"}, nil, nil, guard.Forbidden, guard.MissingAccess, "", 1, 0},
		{"own tenant, tenants down", scoped{Tokens: one(good), Tenants: one(own)}, nil, errDown, guard.Allow, guard.Granted, own, 1, 0},
		{"empty tenant", scoped{Tokens: one(good), Tenants: one("")}, nil, nil, guard.Allow, guard.Granted, "", 1, 0},
		{"tenant below", scoped{Tokens: one(good), Tenants: one(sub)}, nil, nil, guard.Allow, guard.Granted, sub, 1, 1},
		{"unrelated tenant", scoped{Tokens: one(good), Tenants: one(unrelated)}, nil, nil, guard.Forbidden, guard.WrongTenant, unrelated, 1, 1},
		{"own tenant in upper case", scoped{Tokens: one(good), Tenants: one(strings.ToUpper(own))}, nil, nil, guard.Forbidden, guard.WrongTenant, strings.ToUpper(own), 1, 1},
		{"tenants down", scoped{Tokens: one(good), Tenants: one(sub)}, nil, errDown, guard.Unavailable, guard.StoreDown, sub, 1, 1},
		{"access before tenant", scoped{Tokens: one(good), Tenants: one(unrelated), Required: "x"}, nil, errDown, guard.Forbidden, guard.MissingAccess, unrelated, 1, 0},
		{"internal token, any tenant", scoped{Tokens: one(internal), Tenants: one(unrelated)}, nil, errDown, guard.Allow, guard.Granted, unrelated, 1, 0},
		{"internal token lacks the access", scoped{Tokens: one(internal), Tenants: one(own), Required: "x"}, nil, nil, guard.Forbidden, guard.MissingAccess, own, 1, 0},
		{"user deleted, no tenant", scoped{Tokens: one(orphan)}, nil, nil, guard.Allow, guard.Granted, "", 1, 0},
		{"user deleted, a tenant", scoped{Tokens: one(orphan), Tenants: one(own)}, nil, nil, guard.Unauthenticated, guard.NoUser, own, 1, 0},
		{"user deleted, the nil tenant", scoped{Tokens: one(orphan), Tenants: one(uuid.Nil.String())}, nil, nil, guard.Unauthenticated, guard.NoUser, uuid.Nil.String(), 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			grants, tenants := &fakeGrants{err: c.grantsErr}, &fakeTenants{err: c.tenantsErr}
			d := (&guard.Guard{Grants: grants, Tenants: tenants}).Decide(t.Context(),
				guard.NewPolicies(&guard.Policy{Scope: c.request.Required}),
				guard.Request{Method: "GET", Target: "/x", Tokens: c.request.Tokens, Tenants: c.request.Tenants})
			if d.Verdict != c.verdict || d.Reason != c.reason || d.Tenant != c.tenant {
				t.Errorf("%v because %s in %q, want %v because %s in %q", d.Verdict, d.Reason, d.Tenant, c.verdict, c.reason, c.tenant)
			}
			if grants.asked != c.lookups || tenants.asked != c.tenantsAsked {
				t.Errorf("%d lookups, %d questions about tenants; want %d, %d", grants.asked, tenants.asked, c.lookups, c.tenantsAsked)
			}
			if d.Verdict == guard.Allow && (d.Grant == nil || d.Grant.Token().String() != c.request.Tokens[0]) {
				t.Errorf("allowed without the grant of the token: %v", d.Grant)
			}
			if (d.Err != nil) != (d.Verdict == guard.Unavailable) {
				t.Errorf("%v with the error %v", d.Verdict, d.Err)
			}
			if d.Grant != nil && d.State != grant.Hit {
				t.Errorf("state %v, want that of the lookup", d.State)
			}
		})
	}
}

// TestVerdict_ZeroDoesNotAllow: a decision somebody forgot to make lets nothing
// pass.
func TestVerdict_ZeroDoesNotAllow(t *testing.T) {
	t.Parallel()
	var d guard.Decision
	if d.Verdict == guard.Allow || d.Verdict != guard.Unauthenticated {
		t.Errorf("the zero decision is %v", d.Verdict)
	}
	seen := map[string]bool{}
	for v := range guard.Anonymous + 1 {
		if seen[v.String()] || v.String() == "" {
			t.Errorf("verdict %d is labelled %q", v, v)
		}
		seen[v.String()] = true
	}
}
