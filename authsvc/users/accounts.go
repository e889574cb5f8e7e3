package users

import (
	"context"
	"fmt"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// SetEnabled enables or disables the user with this uuid: [store.ErrNotFound]
// when there is none. Who is disabled cannot log in, not even with a refresh
// token, and his sessions end; his refresh tokens stay, for when he is enabled
// again. It returns how many tokens that ended; when it returns, no later
// request on this node is accepted with one of them.
func (s *Service) SetEnabled(ctx context.Context, userUUID string, enabled bool) (ended int, err error) {
	tokens, err := s.Store.SetUserEnabled(ctx, userUUID, enabled)
	s.revoke(tokens) // also beside an error: they may be gone
	if err != nil {
		return 0, fmt.Errorf("enabling or disabling a user: %w", err)
	}
	return len(tokens), nil
}

// Update replaces everything of the user with this uuid but his tenant:
// [store.ErrNotFound] when there is none, [store.ConflictError] when his
// username is taken. Where it disables him it does what [Service.SetEnabled]
// does.
func (s *Service) Update(ctx context.Context, u store.User) error {
	tokens, err := s.Store.UpdateUser(ctx, u)
	s.revoke(tokens) // also beside an error: they may be gone
	if err != nil {
		return fmt.Errorf("replacing a user: %w", err)
	}
	return nil
}

// Delete removes the user with this uuid, his refresh tokens and his sessions:
// [store.ErrNotFound] when there is none. It returns how many tokens that
// ended; when it returns, no later request on this node is accepted with one
// of them.
func (s *Service) Delete(ctx context.Context, userUUID string) (ended int, err error) {
	tokens, err := s.Store.DeleteUser(ctx, userUUID)
	s.revoke(tokens) // also beside an error: they may be gone
	if err != nil {
		return 0, fmt.Errorf("deleting a user: %w", err)
	}
	return len(tokens), nil
}

// revoke takes tokens that the store has deleted out of the cache.
func (s *Service) revoke(ended []store.EndedToken) {
	if s.Revoke != nil {
		s.Revoke(store.TokenUUIDs(ended)...)
	}
}
