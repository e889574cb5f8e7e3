package sqlstore

import (
	"context"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// freeSlug returns the first of slugs that nobody has, going by taken, which
// tells whether a row has slug $1; args follow it. It is asked under the lock
// that keeps other writers of these slugs out. When all are taken, as the only
// one that a client chose may be, it is the conflict of the last.
func (q statement) freeSlug(ctx context.Context, taken string, slugs []string, args ...any) (slug string, err error) {
	for _, slug = range slugs {
		var exists bool
		if err := q.row(ctx, taken, append([]any{slug}, args...)...).Scan(&exists); err != nil || !exists {
			return slug, err
		}
	}
	return "", &store.ConflictError{Field: "slug", Value: slug}
}
