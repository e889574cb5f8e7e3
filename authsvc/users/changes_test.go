package users_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/password"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/users"
)

func TestUpdate(t *testing.T) {
	t.Parallel()
	s, db, revoked := newService(t)
	alice, hers := loggedIn(t, db, "alice")
	_, his := loggedIn(t, db, "bob")

	alice.Username = "Alice"
	if err := s.Update(t.Context(), alice); err != nil || len(*revoked) != 0 {
		t.Fatalf("renaming: %v, revoked %v", err, *revoked)
	}
	alice.Username, alice.Enabled = "BOB", false
	err := s.Update(t.Context(), alice)
	if taken, ok := errors.AsType[*store.ConflictError](err); !ok || taken.Field != "username" || len(*revoked) != 0 || len(gone(t, db, hers)) != 0 {
		t.Fatalf("a name that is taken: %v, revoked %v", err, *revoked)
	}
	alice.Username = "alice"
	if err := s.Update(t.Context(), alice); err != nil {
		t.Fatalf("disabling: %v", err)
	}
	if !same(*revoked, hers) || !same(gone(t, db, append(hers, his...)), hers) {
		t.Errorf("revoked %v and deleted %v, want %v", *revoked, gone(t, db, append(hers, his...)), hers)
	}
	alice.UUID, alice.Username = uuid.NewString(), ""
	if err := s.Update(t.Context(), alice); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	s, db, revoked := newService(t)
	alice, hers := loggedIn(t, db, "alice")
	if _, err := s.SetPassword(t.Context(), "alice", "old"); err != nil {
		t.Fatal(err)
	}
	*revoked = nil
	_, more := loggedIn(t, db, "bob")
	if err := s.ChangePassword(t.Context(), alice.UUID, "wrong", "new"); !errors.Is(err, users.ErrRefused) {
		t.Errorf("with a wrong password: %v", err)
	}
	if err := s.ChangePassword(t.Context(), alice.UUID, "old", "new"); err != nil {
		t.Fatal(err)
	}
	if !checks(t, s, "alice", "new") || checks(t, s, "alice", "old") {
		t.Error("the wrong password is good now")
	}
	if len(*revoked) != 0 || !same(gone(t, db, append(hers, more...)), hers) {
		t.Errorf("revoked %v, and gone are %v", *revoked, gone(t, db, append(hers, more...)))
	}
	if err := s.ChangePassword(t.Context(), uuid.NewString(), "old", "new"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of nobody: %v", err)
	}
}

// overtaken is a store in which somebody else replaces the password once it was
// read, or whose answers get lost on the way.
type overtaken struct {
	users.Store
	err   error
	ended []store.EndedToken
}

func (o overtaken) SetPassword(context.Context, string, store.NewPassword) ([]store.EndedToken, error) {
	return o.ended, o.err
}

func (o overtaken) UpdateUser(context.Context, store.User) ([]store.EndedToken, error) {
	return o.ended, o.err
}

// Who knew the password that was must not overtake whoever replaced it.
func TestChangePassword_Overtaken(t *testing.T) {
	t.Parallel()
	s, db, revoked := newService(t)
	u, _ := loggedIn(t, db, "alice")
	if _, err := s.SetPassword(t.Context(), "alice", "old"); err != nil {
		t.Fatal(err)
	}
	*revoked = nil
	s.Store = overtaken{Store: s.Store, err: store.ErrNotFound}
	if err := s.ChangePassword(t.Context(), u.UUID, "old", "new"); !errors.Is(err, users.ErrRefused) || len(*revoked) != 0 {
		t.Errorf("%v, revoked %v", err, *revoked)
	}
}

// When the rows may be gone, the tokens must not stay good in memory.
func TestChanges_AnswerLost(t *testing.T) {
	t.Parallel()
	token := uuid.New()
	lost := overtaken{err: store.ErrUnavailable, ended: []store.EndedToken{{UUID: token.String()}}}
	for name, change := range map[string]func(*users.Service) error{
		"update": func(s *users.Service) error { return s.Update(t.Context(), store.User{}) },
		"password": func(s *users.Service) error {
			s.Store = named{lost}
			_, err := s.SetPassword(t.Context(), "alice", "new")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var revoked []uuid.UUID
			s := &users.Service{Store: lost, Checker: password.NewChecker(0), Revoke: func(tokens ...uuid.UUID) { revoked = append(revoked, tokens...) }}
			if err := change(s); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("%v", err)
			}
			if len(revoked) != 1 || revoked[0] != token {
				t.Errorf("revoked %v", revoked)
			}
		})
	}
}

// named knows everybody.
type named struct{ overtaken }

func (named) UserByName(_ context.Context, name string) (store.User, error) {
	return store.User{UUID: "u", Username: name}, nil
}
