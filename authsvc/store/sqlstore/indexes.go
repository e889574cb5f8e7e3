package sqlstore

import (
	"context"
	"slices"
)

// Index is one of [store.Indexes].
type Index struct{ Name, Table, Columns string }

// indexes are what the hot statements need beyond the historical schema. Its
// own primary keys serve one direction of each link only, and it has nothing
// for the ends of tokens.
var indexes = []Index{
	{"xivo_edge_user_group_user", "auth_user_group", "user_uuid"},
	{"xivo_edge_user_policy_policy", "auth_user_policy", "policy_uuid"},
	{"xivo_edge_group_policy_policy", "auth_group_policy", "policy_uuid"},
	{"xivo_edge_token_auth", "auth_token", "auth_id"},
	{"xivo_edge_token_expiry", "auth_token", "expire_t"},
	{"xivo_edge_token_refresh", "auth_token", "refresh_token_uuid"},
}

// InstallIndexes implements [store.Indexes].
func (s *Store) InstallIndexes(ctx context.Context) (made []string, err error) {
	missing, err := s.MissingIndexes(ctx)
	if err != nil {
		return nil, err
	}
	for _, i := range indexes {
		if !slices.Contains(missing, i.Name) {
			continue
		}
		err := s.call(ctx, "making an index", migrate, func(ctx context.Context) error {
			// What an interrupted attempt left behind is of no use.
			if _, err := s.db.ExecContext(ctx, `drop index if exists `+i.Name); err != nil {
				return err
			}
			_, err := s.db.ExecContext(ctx, s.dialect.CreateIndex(i))
			return err
		})
		if err != nil {
			return made, err
		}
		made = append(made, i.Name)
	}
	return made, nil
}

// RemoveIndexes implements [store.Indexes].
func (s *Store) RemoveIndexes(ctx context.Context) error {
	return s.call(ctx, "removing indexes", migrate, func(ctx context.Context) error {
		for _, i := range indexes {
			if _, err := s.db.ExecContext(ctx, `drop index if exists `+i.Name); err != nil {
				return err
			}
		}
		return nil
	})
}

// MissingIndexes implements [store.Indexes].
func (s *Store) MissingIndexes(ctx context.Context) (missing []string, err error) {
	names := make([]string, len(indexes))
	for n, i := range indexes {
		names[n] = i.Name
	}
	err = s.call(ctx, "looking for indexes", read, func(ctx context.Context) error {
		missing = nil
		have, err := Strings(ctx, s.db, s.dialect.Rebind(s.dialect.ListIndexes()), s.dialect.List(names))
		for _, name := range names {
			if !slices.Contains(have, name) {
				missing = append(missing, name)
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return missing, nil
}
