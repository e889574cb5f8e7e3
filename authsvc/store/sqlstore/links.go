package sqlstore

import "context"

// link inserts the row of two keys that links what they name. The statement
// leaves a row that is there alone; [store.ErrNotFound] when one of the two
// does not exist.
func (s *Store) link(ctx context.Context, op, insert, one, other string) error {
	if !searchable(one) || !searchable(other) {
		return notFound(op)
	}
	return s.change(ctx, op, func(ctx context.Context, q statement) error {
		_, err := q.exec(ctx, insert, one, other)
		return err
	})
}

// unlink deletes such a row, if there is one.
func (s *Store) unlink(ctx context.Context, op, remove, one, other string) error {
	if !searchable(one) || !searchable(other) {
		return nil
	}
	return s.change(ctx, op, func(ctx context.Context, q statement) error {
		_, err := q.exec(ctx, remove, one, other)
		return err
	})
}
