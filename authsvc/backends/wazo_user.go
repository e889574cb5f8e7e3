package backends

import (
	"context"
	"errors"
	"fmt"

	"github.com/wazo-edge/xivo-auth/authsvc/password"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// WazoUser checks logins against the service's own accounts: a confirmed
// e-mail address or a username, and the password of schema.md §5.
type WazoUser struct {
	Users   CredentialStore
	Checker PasswordChecker
}

// PasswordChecker checks passwords; [*password.Checker] does.
type PasswordChecker interface {
	Check(ctx context.Context, password, hash string, salt []byte) (bool, error)
	// Full reports whether Check would refuse at once.
	Full(ctx context.Context) bool
}

// CredentialStore is what [WazoUser] needs of a store.
type CredentialStore interface {
	CredentialsByLogin(ctx context.Context, login string) (store.Credentials, error)
}

var _ Backend = (*WazoUser)(nil)

// Name implements [Backend].
func (*WazoUser) Name() string { return Default }

// Authenticate implements [Backend]. An unknown or disabled login costs the
// same hash as a wrong password.
func (w *WazoUser) Authenticate(ctx context.Context, a Attempt) (Identity, error) {
	if a.Login == "" || a.Password == "" {
		return Identity{}, ErrRefused
	}
	if w.Checker.Full(ctx) { // before a query that would be for nothing
		return Identity{}, ErrBusy
	}
	c, err := w.Users.CredentialsByLogin(ctx, a.Login)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return Identity{}, fmt.Errorf("looking up a login: %w", err)
	}
	known, err := w.Checker.Check(ctx, a.Password, c.PasswordHash, c.PasswordSalt)
	if errors.Is(err, password.ErrBusy) {
		return Identity{}, fmt.Errorf("%w: %w", ErrBusy, err)
	}
	if err != nil {
		return Identity{}, err
	}
	// Only now: an account that must not use its password here takes as long
	// to be refused as any other.
	if !known || c.EffectiveMethod != store.MethodNative {
		return Identity{}, ErrRefused
	}
	who := IdentityOf(c.User)
	who.PasswordHash = c.PasswordHash
	return who, nil
}
