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

// unlink deletes such a row, and reports whether there was one.
func (s *Store) unlink(ctx context.Context, op, remove, one, other string) (was bool, err error) {
	if !searchable(one) || !searchable(other) {
		return false, nil
	}
	err = s.change(ctx, op, func(ctx context.Context, q statement) error {
		n, err := q.exec(ctx, remove, one, other)
		was = n > 0
		return err
	})
	return was && err == nil, err
}
