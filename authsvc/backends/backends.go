// Package backends holds the ways to prove who you are. A backend takes what a
// client presented at login and says who that is; what he may do, the token
// and the session are the tokens room's business.
package backends

import (
	"context"
	"errors"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// ErrRefused reports that the credentials prove nobody's identity: unknown
// login, wrong password, disabled account, or a method the account does not
// use. Clients are never told which.
var ErrRefused = errors.New("authentication failed")

// ErrBusy reports that too many logins are being checked already. Nothing may
// be concluded about the credentials.
var ErrBusy = errors.New("too many logins at once")

// Attempt is what a client presented.
type Attempt struct {
	Login, Password string // both empty when no usable credentials were sent
}

// Identity is who an accepted attempt was.
type Identity struct {
	AuthID      string // the user's uuid
	PBXUserUUID string // "" unless the account is a person of the PBX
	TenantUUID  string
	Purpose     string
	// PasswordHash is what the password was checked against, "" where that
	// is not the store's: a token is issued only while it is still his.
	PasswordHash string
}

// IdentityOf is the identity of one of the service's own accounts.
func IdentityOf(u store.User) Identity {
	id := Identity{AuthID: u.UUID, TenantUUID: u.TenantUUID, Purpose: u.Purpose}
	if u.Purpose == store.PurposeUser {
		id.PBXUserUUID = u.UUID
	}
	return id
}

// Backend proves identities. Implementations are safe for concurrent use, do
// about the same work whether or not a login exists, and return [ErrRefused],
// or another error when they could not tell because something they depend on
// is unavailable.
type Backend interface {
	// Name is the name clients select it by.
	Name() string
	// Authenticate checks one attempt.
	Authenticate(ctx context.Context, a Attempt) (Identity, error)
}

// Default is the backend of a login that names none.
const Default = "wazo_user"

// historical are the backends of the 2017 service. A client that still names
// one of them means the ordinary accounts where that backend is not
// configured.
var historical = map[string]bool{"xivo_user": true, "xivo_service": true, "xivo_admin": true}

// Set is the configured backends in their order. Immutable.
type Set struct {
	byName map[string]Backend
	names  []string
}

// NewSet returns a set; a later backend of the same name replaces the former.
func NewSet(list ...Backend) *Set {
	s := &Set{byName: make(map[string]Backend, len(list)), names: []string{}}
	for _, b := range list {
		if _, again := s.byName[b.Name()]; !again {
			s.names = append(s.names, b.Name())
		}
		s.byName[b.Name()] = b
	}
	return s
}

// Names lists the backends in their order.
func (s *Set) Names() []string { return s.names }

// Named returns the backend a client means by name: [ErrRefused] for a name
// that means nothing here, as in 2017 (docs/compat.md).
func (s *Set) Named(name string) (Backend, error) {
	if b, ok := s.byName[name]; ok {
		return b, nil
	}
	if b, ok := s.byName[Default]; ok && historical[name] {
		return b, nil
	}
	return nil, ErrRefused
}
