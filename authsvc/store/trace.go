package store

import (
	"context"
	"errors"
)

// Trace is told that an operation begins, by what it does, and returns the
// context to go on with and what to call at the end with the outcome. Both
// names are of closed sets and tell nothing of whom it is about.
type Trace func(ctx context.Context, op string) (_ context.Context, end func(outcome string))

// Outcome names how an operation ended that returned err. It is a closed set:
// ok, not_found, conflict, invalid, limit, schema, unavailable, failed.
func Outcome(err error) string {
	if err == nil {
		return "ok"
	}
	for _, known := range []struct {
		err  error
		name string
	}{
		{ErrNotFound, "not_found"},
		{ErrConflict, "conflict"},
		{ErrInvalid, "invalid"},
		{ErrLimit, "limit"},
		{ErrSchema, "schema"},
		{ErrUnavailable, "unavailable"},
	} {
		if errors.Is(err, known.err) {
			return known.name
		}
	}
	return "failed"
}
