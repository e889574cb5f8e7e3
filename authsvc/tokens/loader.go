package tokens

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// Loader reads grants from a store: it is what stands behind the cache.
type Loader struct {
	Store store.Tokens
	ACLs  Compiler
}

// LoadGrant returns what token grants, with one round trip. It is
// [grant.ErrUnknown] when there is no such token.
func (l Loader) LoadGrant(ctx context.Context, token uuid.UUID, now time.Time) (*grant.Grant, error) {
	row, err := l.Store.Token(ctx, token.String())
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, grant.ErrUnknown
	case err != nil:
		return nil, err
	}
	return toGrant(token, row, l.ACLs, now), nil
}

func toGrant(token uuid.UUID, row store.Token, acls Compiler, now time.Time) *grant.Grant {
	compiled, fresh := acls.Compile(row.ACL)
	return grant.New(grant.Fields{
		Token:       token,
		AuthID:      row.AuthID,
		PBXUserUUID: row.PBXUserUUID,
		XiVOUUID:    row.XiVOUUID,
		IssuedAt:    row.IssuedAt,
		ExpiresAt:   row.ExpiresAt,
		Metadata:    row.Metadata,
		SessionUUID: row.SessionUUID,
		UserAgent:   row.UserAgent,
		RemoteAddr:  row.RemoteAddr,
		UserTenant:  row.UserTenant,
		ACL:         compiled,
		OwnACL:      fresh,
	}, now)
}
