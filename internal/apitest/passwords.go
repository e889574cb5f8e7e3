package apitest

import (
	"context"
	"sync"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/password"
)

// Remember has a service hash no password, and check none, that was hashed or
// checked in this process before, and returns its backend: transcripts log the
// same few people in all the time, and each hash costs a tenth of a second, and
// many times as much under the race detector.
func Remember(s *authsvc.Service) *backends.WazoUser {
	r := &Remembering{Checker: s.Checker}
	s.Users.Checker = r
	return &backends.WazoUser{Users: s.Store, Checker: r}
}

// Remembering is a checker with the memory of all of them.
type Remembering struct{ *password.Checker }

// checks are the answers to passwords by hash and salt.
var checks sync.Map

// Check implements [backends.PasswordChecker].
func (r *Remembering) Check(ctx context.Context, pass, hash string, salt []byte) (bool, error) {
	key := [3]string{pass, hash, string(salt)}
	if ok, seen := checks.Load(key); seen {
		return ok.(bool), nil
	}
	ok, err := r.Checker.Check(ctx, pass, hash, salt)
	if err == nil {
		checks.Store(key, ok)
	}
	return ok, err
}

// Hash implements [users.Passwords].
func (*Remembering) Hash(_ context.Context, pass string) (string, []byte, error) {
	return hashed(pass)
}

// hashes keeps what a password hashes to: it costs a tenth of a second.
var hashes sync.Map

type hash struct {
	once sync.Once
	hash string
	salt []byte
	err  error
}

func hashed(pass string) (string, []byte, error) {
	v, _ := hashes.LoadOrStore(pass, new(hash))
	h := v.(*hash)
	h.once.Do(func() {
		if h.hash, h.salt, h.err = password.Hash(pass); h.err == nil {
			checks.Store([3]string{pass, h.hash, string(h.salt)}, true)
		}
	})
	return h.hash, h.salt, h.err
}
