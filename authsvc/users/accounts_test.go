package users_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
)

// loggedIn creates a user who holds two tokens.
func loggedIn(t *testing.T, db *sqlstore.Store, name string) (u store.User, tokens []uuid.UUID) {
	t.Helper()
	u, err := db.CreateUser(t.Context(), store.NewUser{User: store.User{
		Username: name, Enabled: true, Purpose: store.PurposeUser, Method: store.MethodDefault,
	}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		token, session := uuid.New(), uuid.NewString()
		err := db.CreateToken(t.Context(), store.Session{UUID: session, TenantUUID: u.TenantUUID},
			store.Token{UUID: token.String(), AuthID: u.UUID, SessionUUID: session, ExpiresAt: 2_000_000_000, ACL: []string{}})
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, token)
	}
	return u, tokens
}

// gone tells which of these tokens the store lacks.
func gone(t *testing.T, db *sqlstore.Store, tokens []uuid.UUID) (missing []uuid.UUID) {
	t.Helper()
	for _, token := range tokens {
		switch _, err := db.Token(t.Context(), token.String()); {
		case errors.Is(err, store.ErrNotFound):
			missing = append(missing, token)
		case err != nil:
			t.Fatal(err)
		}
	}
	return missing
}

func same(a, b []uuid.UUID) bool {
	byText := func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }
	return slices.Equal(slices.SortedFunc(slices.Values(a), byText), slices.SortedFunc(slices.Values(b), byText))
}

func TestSetEnabled(t *testing.T) {
	t.Parallel()
	s, db, revoked := newService(t)
	alice, hers := loggedIn(t, db, "alice")
	_, his := loggedIn(t, db, "bob")

	// Enabling who is enabled ends nothing.
	if ended, err := s.SetEnabled(t.Context(), alice.UUID, true); err != nil || ended != 0 || len(*revoked) != 0 {
		t.Fatalf("enabling: %d, %v, revoked %v", ended, err, *revoked)
	}
	if ended, err := s.SetEnabled(t.Context(), alice.UUID, false); err != nil || ended != 2 {
		t.Fatalf("disabling: %d, %v", ended, err)
	}
	if !same(*revoked, hers) || !same(gone(t, db, append(hers, his...)), hers) {
		t.Errorf("revoked %v and deleted %v, want %v", *revoked, gone(t, db, append(hers, his...)), hers)
	}
	if _, err := db.CredentialsByLogin(t.Context(), "alice"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("logging in while disabled: %v", err)
	}
	if ended, err := s.SetEnabled(t.Context(), alice.UUID, false); err != nil || ended != 0 {
		t.Errorf("disabling again: %d, %v", ended, err)
	}
	if _, err := s.SetEnabled(t.Context(), alice.UUID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := db.CredentialsByLogin(t.Context(), "alice"); err != nil {
		t.Errorf("logging in when enabled again: %v", err)
	}
	if len(gone(t, db, hers)) != 2 {
		t.Error("enabling brought tokens back")
	}
	for _, enabled := range []bool{true, false} {
		if _, err := s.SetEnabled(t.Context(), uuid.NewString(), enabled); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("nobody, enabled=%t: %v", enabled, err)
		}
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	s, db, revoked := newService(t)
	alice, hers := loggedIn(t, db, "alice")
	bob, his := loggedIn(t, db, "bob")

	if ended, err := s.Delete(t.Context(), alice.UUID); err != nil || ended != 2 {
		t.Fatalf("deleting: %d, %v", ended, err)
	}
	if !same(*revoked, hers) || !same(gone(t, db, append(hers, his...)), hers) {
		t.Errorf("revoked %v and deleted %v, want %v", *revoked, gone(t, db, append(hers, his...)), hers)
	}
	if _, err := db.UserByUUID(t.Context(), alice.UUID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleted, and still there: %v", err)
	}
	if _, err := s.Delete(t.Context(), alice.UUID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("again: %v", err)
	}

	s.Revoke = nil // as on the command line
	if ended, err := s.Delete(t.Context(), bob.UUID); err != nil || ended != 2 {
		t.Errorf("without a cache: %d, %v", ended, err)
	}
}
