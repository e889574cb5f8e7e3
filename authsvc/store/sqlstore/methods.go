package sqlstore

import (
	"context"
	"slices"
)

const (
	sqlSetMethods = `update auth_user set authentication_method = $2 where uuid = any($1)`

	sqlResetMethod = `update auth_user set authentication_method = 'default' where uuid = $1 and authentication_method = $2`
)

// SetUserMethods implements [store.Methods].
func (s *Store) SetUserMethods(ctx context.Context, userUUIDs []string, method string) error {
	const op = "setting an authentication method"
	if err := storable(op, "method", method); err != nil {
		return err
	}
	known := slices.DeleteFunc(slices.Clone(userUUIDs), func(id string) bool { return !searchable(id) })
	return s.change(ctx, op, func(ctx context.Context, q statement) error {
		_, err := q.exec(ctx, sqlSetMethods, s.dialect.List(known), method)
		return err
	})
}

// ResetUserMethod implements [store.Methods].
func (s *Store) ResetUserMethod(ctx context.Context, userUUID, method string) error {
	if !searchable(userUUID) || !searchable(method) {
		return nil
	}
	return s.change(ctx, "resetting an authentication method", func(ctx context.Context, q statement) error {
		_, err := q.exec(ctx, sqlResetMethod, userUUID, method)
		return err
	})
}
