package password_test

import (
	"context"
	"errors"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/password"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// accounts is a store of alice and of somebody who logs in elsewhere.
type accounts map[string]store.Credentials

func (a accounts) CredentialsByLogin(_ context.Context, login string) (store.Credentials, error) {
	c, ok := a[login]
	if !ok {
		return c, store.ErrNotFound
	}
	return c, nil
}

// TestTiming_UnknownUser: whoever is refused, the same key was derived, since
// the time that takes would tell which logins exist (Authelia #949). The work
// is counted; how long it takes depends on the machine.
func TestTiming_UnknownUser(t *testing.T) {
	t.Parallel()
	hash, salt, err := password.Hash("secret")
	if err != nil {
		t.Fatal(err)
	}
	checker := password.NewChecker(1)
	type work struct{ passwordSize, saltSize int }
	var done []work
	checker.Watch(func(password string, salt []byte) { done = append(done, work{len(password), len(salt)}) })
	users := accounts{
		"alice":     {User: store.User{UUID: "a"}, EffectiveMethod: store.MethodNative, PasswordHash: hash, PasswordSalt: salt},
		"elsewhere": {User: store.User{UUID: "e"}, EffectiveMethod: "ldap", PasswordHash: hash, PasswordSalt: salt},
		"nobody's":  {User: store.User{UUID: "n"}, EffectiveMethod: store.MethodNative},
	}
	b := &backends.WazoUser{Users: users, Checker: checker}
	want := work{len("secret"), len(salt)}
	for _, c := range []struct {
		name, login, password string
		err                   error
	}{
		{"the right password", "alice", "secret", nil},
		{"wrong password", "alice", "Secret", backends.ErrRefused},
		{"unknown user", "bob", "secret", backends.ErrRefused},
		{"who logs in elsewhere", "elsewhere", "secret", backends.ErrRefused},
		{"who has no password", "nobody's", "secret", backends.ErrRefused},
	} {
		done = nil
		_, err := b.Authenticate(t.Context(), backends.Attempt{Login: c.login, Password: c.password})
		if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
		if len(done) != 1 || done[0] != want {
			t.Errorf("%s: derived %v, want one of %v", c.name, done, want)
		}
	}
}
