package store

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
)

// ErrLimit reports that a user has as many sessions as he may have.
var ErrLimit = errors.New("too many sessions")

// NewToken is what [Logins.IssueToken] stores.
type NewToken struct {
	Session Session
	// Token without its ACL and its UserTenant: the first is put together by
	// the store, as [Policies.UserAccesses] does.
	Token Token
	// PasswordHash, unless "", must still be that of the user, or there is
	// no such user ([ErrNotFound]): whoever changed the password meanwhile
	// wants those out who know the old one.
	PasswordHash string
	// RefreshToken is the uuid of the refresh token that the login was made
	// with, "" for none. [Logins.IssueOfflineToken] ignores it.
	RefreshToken string
	// BasePolicy is the name of the policy whose accesses come first, ""
	// for none.
	BasePolicy string
	// MaxSessions refuses the token with [ErrLimit] when its AuthID has that
	// many sessions already, those included whose tokens have expired and
	// were not removed yet. 0 means no limit.
	MaxSessions int
}

// RefreshToken is one row of auth_refresh_token.
type RefreshToken struct {
	UUID       string
	ClientID   string
	UserUUID   string
	Backend    string
	Login      string // as the user typed it, or as a directory spelled it
	UserAgent  string
	RemoteAddr string
	CreatedAt  time.Time // UTC, microseconds
	Mobile     bool
	Metadata   string // JSON object; "" stores {}

	// TenantUUID is the user's current tenant; ignored on insertion.
	TenantUUID string
}

// Offline is what an offline login brought about besides its token.
type Offline struct {
	ACL []string
	// RefreshToken is the uuid of the refresh token the login got, and
	// Metadata what is stored with it.
	RefreshToken string
	Metadata     string
	// Created tells that it is a new one.
	Created bool
	// Replaced are the refresh tokens that had to go for it, in the order in
	// which they went, and Ended the tokens of their sessions.
	Replaced []RefreshToken
	Ended    []EndedToken
}

// Logins are the writes of a login and what it reads.
type Logins interface {
	// IssueToken inserts the session and its token, with the accesses of its
	// user, in one round trip where the database allows it, and returns them.
	// [ErrNotFound] when there is no such user, or not an enabled one, any
	// more, or no such refresh token.
	IssueToken(ctx context.Context, n NewToken) (acl []string, err error)
	// IssueOfflineToken, DeleteSession and the methods of [Accounts] that end
	// tokens return those beside [ErrUnavailable], too: whether they ended is
	// not known then, and a caller who keeps them in memory should not.

	// IssueOfflineToken is [Logins.IssueToken] with a refresh token, all in
	// one transaction (token.md §6). A refresh token of the same client and
	// user is kept and used, unless r.Mobile: then it is replaced, and so is
	// every other mobile one of that user, with the sessions issued from
	// them. The session limit is looked at before that frees any.
	IssueOfflineToken(ctx context.Context, n NewToken, r RefreshToken) (Offline, error)
	// CredentialsByRefreshToken resolves the login that is stored with the
	// refresh token of this uuid and client as [Users.CredentialsByLogin]
	// does; [ErrNotFound] when there is no such refresh token or its login
	// resolves to nobody any more. One round trip.
	CredentialsByRefreshToken(ctx context.Context, uuid, clientID string) (Credentials, RefreshToken, error)
	// UserIsAdmin reports whether the user holds the policy of slug
	// wazo_default_admin_policy himself or is in a group of slug
	// wazo_default_admin_group (token.md §5).
	UserIsAdmin(ctx context.Context, userUUID string) (bool, error)
}

// RefreshTokens lists and deletes refresh tokens.
type RefreshTokens interface {
	// ListRefreshTokens orders by created_at (the default), client_id or
	// mobile, searches client_id, and filters client_id (string), created_at
	// (time.Time) and mobile (bool).
	ListRefreshTokens(ctx context.Context, l List) (Page[RefreshToken], error)
	// DeleteRefreshToken removes it; tokens issued from it stay.
	// [ErrNotFound] when there is none.
	DeleteRefreshToken(ctx context.Context, userUUID, clientID string) (RefreshToken, error)
}

// ListedSession is a session as it is listed.
type ListedSession struct {
	Session
	AuthID string // of its token, "" when it has none
}

// Sessions lists and deletes sessions.
type Sessions interface {
	// ListSessions orders by mobile, or by uuid when no order is asked for,
	// and filters uuid. l.User selects the sessions that have a token of that
	// auth id.
	ListSessions(ctx context.Context, l List) (Page[ListedSession], error)
	// DeleteSession removes the session with its tokens when it is of tenant
	// or of one below it, and returns those tokens. A session that does not
	// exist or is not of those is no error and returns none.
	DeleteSession(ctx context.Context, sessionUUID, tenant string) ([]EndedToken, error)
}

// TokenUUIDs returns the tokens of ended, for whoever keeps them in memory. Text
// that is no uuid was never served as a token and is left out.
func TokenUUIDs(ended []EndedToken) []uuid.UUID {
	ids := make([]uuid.UUID, 0, len(ended))
	for _, e := range ended {
		if id, err := uuid.Parse(e.UUID); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// NamesUser reports whether an auth id is a user's, as the reference tells: a
// version 4 uuid in its canonical spelling. Only such have a session limit and
// are shown with their sessions.
func NamesUser(authID string) bool {
	id, err := uuid.Parse(authID)
	return err == nil && id.Version() == 4 && id.Variant() == uuid.RFC4122 && id.String() == authID
}
