package sqlstore

import (
	"context"
	"database/sql"
	"slices"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// EndedTokens runs a statement of a [Dialect] that yields uuid, auth id,
// session, the session's tenant and whether the session ended.
func EndedTokens(ctx context.Context, q Queryer, query string, args ...any) ([]store.EndedToken, error) {
	return collect(ctx, q, func(rows *sql.Rows) (e store.EndedToken, err error) {
		err = rows.Scan(&e.UUID, &e.AuthID, &e.SessionUUID, &e.SessionTenant, &e.SessionEnded)
		return e, err
	}, query, args...)
}

// Strings runs a statement that yields one column of text.
func Strings(ctx context.Context, q Queryer, query string, args ...any) ([]string, error) {
	return collect(ctx, q, func(rows *sql.Rows) (s string, err error) {
		err = rows.Scan(&s)
		return s, err
	}, query, args...)
}

// MarkEnded notes in ended that the sessions in closed are gone.
func MarkEnded(ended []store.EndedToken, closed []string) {
	slices.Sort(closed)
	for i := range ended {
		if _, ok := slices.BinarySearch(closed, ended[i].SessionUUID); ok {
			ended[i].SessionEnded = true
		}
	}
}
