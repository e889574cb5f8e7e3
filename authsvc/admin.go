package authsvc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/revocation"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// FlushCache has everything in memory looked up again when it is used next.
// Nobody is logged out; while the store cannot be asked, stale_if_error holds
// as ever. Tokens known not to exist stay known as such for their short while.
func (s *Service) FlushCache() {
	s.grants.Doubt(s.cfg.Now())
	s.tenants.Expire()
}

// Ended counts what a revocation ended.
type Ended struct {
	Tokens   int `json:"tokens"`
	Sessions int `json:"sessions"`
}

// RevokeToken ends a token, as a DELETE of it does: [store.ErrNotFound] when
// there is none. When it returns, no later request on this node is accepted
// with it.
func (s *Service) RevokeToken(ctx context.Context, token uuid.UUID) (Ended, error) {
	if s.foreign.Load() {
		return Ended{}, store.ErrSchema
	}
	ended, err := s.Store.DeleteToken(ctx, token.String())
	// Also after an error: the row may be gone and only the answer lost.
	s.grants.Revoke(token)
	if err != nil {
		return Ended{}, fmt.Errorf("revoking a token: %w", err)
	}
	return count([]store.EndedToken{ended}, func(e store.EndedToken) bool { return e.SessionEnded }), nil
}

// RevokeUser ends all sessions of a user, who is named by his uuid or by what
// he logs in with. [store.ErrNotFound] when there is neither such a user nor a
// token of him: tokens outlive users whom the historical service deletes.
func (s *Service) RevokeUser(ctx context.Context, user string) (Ended, error) {
	if s.foreign.Load() {
		return Ended{}, store.ErrSchema
	}
	id, err := uuid.Parse(user)
	if err != nil {
		named, err := s.Store.UserByName(ctx, user)
		if err != nil {
			return Ended{}, fmt.Errorf("looking for a user: %w", err)
		}
		if id, err = uuid.Parse(named.UUID); err != nil {
			return Ended{}, fmt.Errorf("looking for a user: %w", store.ErrNotFound)
		}
	}
	ended, err := s.Store.DeleteUserSessions(ctx, id.String())
	s.grants.Revoke(store.TokenUUIDs(ended)...)
	if err != nil {
		// They may be gone and only the answer lost.
		s.grants.DoubtUsers(id)
		return Ended{}, fmt.Errorf("revoking the sessions of a user: %w", err)
	}
	if len(ended) == 0 {
		if _, err := s.Store.UserByUUID(ctx, id.String()); err != nil {
			return Ended{}, fmt.Errorf("looking for a user: %w", err)
		}
	}
	return count(ended, everySession), nil
}

// RevokeSession ends a session, whosever it is. [store.ErrNotFound] when
// no token ended with it.
func (s *Service) RevokeSession(ctx context.Context, session uuid.UUID) (Ended, error) {
	if s.foreign.Load() {
		return Ended{}, store.ErrSchema
	}
	top, err := s.topTenant(ctx)
	if err != nil {
		return Ended{}, err
	}
	ended, err := s.Store.DeleteSession(ctx, session.String(), top)
	// Also beside an error: the rows may be gone and only the answer lost.
	s.grants.Revoke(store.TokenUUIDs(ended)...)
	if err != nil {
		return Ended{}, fmt.Errorf("revoking a session: %w", err)
	}
	if len(ended) == 0 {
		return Ended{}, fmt.Errorf("revoking a session: %w", store.ErrNotFound)
	}
	return count(ended, everySession), nil
}

// topTenant is the one whose rows are everybody's.
func (s *Service) topTenant(ctx context.Context) (string, error) {
	list, err := s.Store.TenantTree(ctx)
	if err != nil {
		return "", fmt.Errorf("looking for the top tenant: %w", err)
	}
	i := slices.IndexFunc(list, func(t store.Tenant) bool { return t.Parent == t.UUID })
	if i < 0 {
		return "", fmt.Errorf("looking for the top tenant: %w", store.ErrSchema)
	}
	return list[i].UUID, nil
}

func everySession(store.EndedToken) bool { return true }

// count counts tokens and those of their sessions that are gone.
func count(ended []store.EndedToken, gone func(store.EndedToken) bool) Ended {
	sessions := make(map[string]bool, len(ended))
	for _, e := range ended {
		if gone(e) {
			sessions[e.SessionUUID] = true
		}
	}
	return Ended{Tokens: len(ended), Sessions: len(sessions)}
}

// Obstacle is a reason not to send this node any requests.
type Obstacle struct {
	// Check is store, schema or feed.
	Check  string `json:"check"`
	Reason string `json:"reason"`
}

// Obstacles are the reasons there are, none when the node is ready: the store
// answers, its schema is the one this version works with, and the feed, unless
// it is off, is live.
func (s *Service) Obstacles(ctx context.Context) (list []Obstacle) {
	state, err := s.Store.State(ctx)
	switch {
	case errors.Is(err, store.ErrSchema):
		list = append(list, Obstacle{"schema", "the database has another schema"})
	case err != nil:
		list = append(list, Obstacle{"store", "the store does not answer"})
	case state == store.SchemaEmpty:
		list = append(list, Obstacle{"schema", "the database is empty"})
	case s.foreign.Load():
		list = append(list, Obstacle{"schema", "the database had another schema and was not looked at since"})
	}
	if status, on := s.FeedStatus(); on && status.State != revocation.Live {
		list = append(list, Obstacle{"feed", "the revocation feed is " + string(status.State)})
	}
	return list
}
