// Package users keeps the accounts people and services log in with.
package users

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// MasterPolicy is the slug of the policy, seeded with the schema, that grants
// everything. The first administrator gets it.
const MasterPolicy = "wazo_default_master_user_policy"

// maxName is the size of auth_user.username in characters.
const maxName = 256

// ErrExists reports that a login is taken: usernames and e-mail addresses of
// all users are one namespace (schema.md §3.3).
var ErrExists = errors.New("login already used")

// ErrInvalid reports an input no account can have. The wrapping error says
// what is wrong with it, in words fit for whoever typed it.
var ErrInvalid = errors.New("invalid")

// Store is what this room needs of a store.
type Store interface {
	store.Users
	store.Accounts
}

// Passwords hashes and checks passwords, as a Checker of package password does.
type Passwords interface {
	Hash(ctx context.Context, password string) (hash string, salt []byte, err error)
	Check(ctx context.Context, password, hash string, salt []byte) (bool, error)
}

// Service manages accounts. Safe for concurrent use.
type Service struct {
	Store   Store
	Checker Passwords
	// Revoke takes tokens out of the cache of this process; nil where there
	// is none, as on the command line.
	Revoke func(tokens ...uuid.UUID)
}

// New is what an account is created from.
type New struct {
	Username, Password string
	Email              string // optional
	FirstName          string // optional
	LastName           string // optional
	Purpose            string // default "user"
	Method             string // authentication method; default "default", his tenant's
	Policies           []string
}

func (n New) validate() error {
	switch n.Purpose {
	case store.PurposeUser, store.PurposeInternal, store.PurposeExternalAPI:
	default:
		return fmt.Errorf("%w purpose %q: it is one of user, internal, external_api", ErrInvalid, n.Purpose)
	}
	switch {
	case n.Username == "":
		return fmt.Errorf("%w username: it is empty", ErrInvalid)
	case utf8.RuneCountInString(n.Username) > maxName:
		return fmt.Errorf("%w username: it is longer than %d characters", ErrInvalid, maxName)
	case strings.Contains(n.Username, ":"):
		// Basic credentials end the login at the first colon (RFC 7617).
		return fmt.Errorf("%w username: a login cannot hold a colon", ErrInvalid)
	case n.Password == "":
		return fmt.Errorf("%w password: it is empty", ErrInvalid)
	}
	for _, s := range []string{n.Username, n.Email, n.FirstName, n.LastName} {
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
			return fmt.Errorf("%w text: it is not UTF-8 without NUL", ErrInvalid)
		}
	}
	if _, wrong := (form.Email{}).Load(n.Email); wrong != nil && n.Email != "" {
		return fmt.Errorf("%w e-mail address %q", ErrInvalid, n.Email)
	}
	return nil
}

// Create adds an enabled account to the top tenant: [ErrExists] when its
// username or address is taken, [ErrInvalid] for an input no account can have,
// [store.ErrNotFound] for an unknown policy.
func (s *Service) Create(ctx context.Context, n New) (store.User, error) {
	if n.Purpose == "" {
		n.Purpose = store.PurposeUser
	}
	if n.Method == "" {
		n.Method = store.MethodDefault
	}
	if err := n.validate(); err != nil {
		return store.User{}, err
	}
	u, err := s.create(ctx, store.NewUser{
		User: store.User{
			Username: n.Username, FirstName: orNull(n.FirstName), LastName: orNull(n.LastName),
			Enabled: true, Purpose: n.Purpose, Method: n.Method,
		},
		Email:       n.Email,
		PolicySlugs: n.Policies,
	}, n.Password)
	if taken, ok := errors.AsType[*store.ConflictError](err); ok {
		return store.User{}, fmt.Errorf("%w: %q", ErrExists, taken.Value)
	}
	if errors.Is(err, store.ErrConflict) {
		return store.User{}, fmt.Errorf("%w: %q", ErrExists, n.Username)
	}
	return u, err
}

// create adds an account with a password, unless that is "". Names that are
// taken are looked for before the costly hash; what counts is what the store
// says in the end.
func (s *Service) create(ctx context.Context, n store.NewUser, pass string) (store.User, error) {
	for _, login := range []store.ConflictError{{Field: "username", Value: n.Username}, {Field: "email_address", Value: n.Email}} {
		if login.Value == "" {
			continue
		}
		switch _, err := s.Store.UserByName(ctx, login.Value); {
		case err == nil:
			return store.User{}, &login
		case !errors.Is(err, store.ErrNotFound):
			return store.User{}, fmt.Errorf("looking for a login: %w", err)
		}
	}
	if pass != "" {
		var err error
		if n.PasswordHash, n.PasswordSalt, err = s.Checker.Hash(ctx, pass); err != nil {
			return store.User{}, err
		}
	}
	u, err := s.Store.CreateUser(ctx, n)
	if err != nil {
		return store.User{}, fmt.Errorf("creating a user: %w", err)
	}
	return u, nil
}

// SetPassword replaces the password of the user with this login and ends his
// sessions, so that whoever logged in with the old one is out; refresh tokens
// stay good, as on the reference. It returns how many
// tokens that ended.
func (s *Service) SetPassword(ctx context.Context, login, newPassword string) (ended int, err error) {
	if newPassword == "" {
		return 0, fmt.Errorf("%w password: it is empty", ErrInvalid)
	}
	u, err := s.Store.UserByName(ctx, login)
	if err != nil {
		return 0, fmt.Errorf("looking for a login: %w", err)
	}
	return s.replacePassword(ctx, u.UUID, newPassword, "")
}

// ErrRefused reports that the old password is wrong, or that the user has
// nothing to log in with. Clients are never told which.
var ErrRefused = errors.New("wrong password")

// ErrExternal reports that the password a user logs in with is not kept here.
var ErrExternal = errors.New("the password is managed externally")

// ChangePassword is [Service.SetPassword] for who knows the old password of the
// user with this uuid: [store.ErrNotFound] when there is none, [ErrRefused],
// then [ErrExternal], so that only who knows the password learns how he logs
// in. It is [ErrRefused], too, when the password changed meanwhile.
func (s *Service) ChangePassword(ctx context.Context, userUUID, oldPassword, newPassword string) error {
	c, err := s.Store.CredentialsByUUID(ctx, userUUID)
	if err != nil {
		return fmt.Errorf("reading credentials: %w", err)
	}
	known, err := s.Checker.Check(ctx, oldPassword, c.PasswordHash, c.PasswordSalt)
	switch {
	case err != nil:
		return err
	case !known:
		return ErrRefused
	case c.EffectiveMethod != store.MethodNative:
		return ErrExternal
	}
	if _, err = s.replacePassword(ctx, userUUID, newPassword, c.PasswordHash); errors.Is(err, store.ErrNotFound) {
		return ErrRefused
	}
	return err
}

// replacePassword stores a password, provided that the hash of the present one
// is was, unless that is "".
func (s *Service) replacePassword(ctx context.Context, userUUID, pass, was string) (ended int, err error) {
	p := store.NewPassword{Was: was}
	if p.Hash, p.Salt, err = s.Checker.Hash(ctx, pass); err != nil {
		return 0, err
	}
	tokens, err := s.Store.SetPassword(ctx, userUUID, p)
	s.revoke(tokens) // also beside an error: they may be gone
	if err != nil {
		return 0, fmt.Errorf("storing a password: %w", err)
	}
	return len(tokens), nil
}

// List returns every account ordered by username.
func (s *Service) List(ctx context.Context) ([]store.User, error) {
	list, err := s.Store.ListUsers(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing users: %w", err)
	}
	return list, nil
}

// Bootstrapped tells what [Service.Bootstrap] did.
type Bootstrapped int

// The outcomes.
const (
	Created Bootstrapped = iota
	AlreadyThere
)

// Bootstrap makes sure an administrator with this login and password exists:
// it creates him, or does nothing when the password already is his. A login
// that exists with another password is [ErrExists]: bootstrapping never
// changes an account (config.md §3).
func (s *Service) Bootstrap(ctx context.Context, login, pass string) (Bootstrapped, error) {
	c, err := s.Store.CredentialsByLogin(ctx, login)
	switch {
	case err == nil:
		ok, err := s.Checker.Check(ctx, pass, c.PasswordHash, c.PasswordSalt)
		switch {
		case err != nil:
			return 0, err
		case ok:
			return AlreadyThere, nil
		}
		return 0, fmt.Errorf("%w: %q has another password", ErrExists, login)
	case !errors.Is(err, store.ErrNotFound):
		return 0, fmt.Errorf("looking for the administrator: %w", err)
	}
	_, err = s.Create(ctx, administrator(login, pass))
	return Created, err
}

// FirstStart creates the first administrator of a database that holds no user
// at all, and reports whether it did. A database that is already in use is
// left alone, whatever its users are called: swapping this service in over a
// live one must not add a way in.
func (s *Service) FirstStart(ctx context.Context, login, pass string) (created bool, err error) {
	used, err := s.Store.HasUsers(ctx)
	if err != nil {
		return false, fmt.Errorf("looking for users: %w", err)
	}
	if used {
		return false, nil
	}
	_, err = s.Create(ctx, administrator(login, pass))
	if errors.Is(err, ErrExists) {
		return false, nil // another node was first
	}
	return err == nil, err
}

// administrator is the account both create. Its method is spelled out: it
// must work whatever the top tenant's default becomes.
func administrator(login, pass string) New {
	return New{
		Username: login, Password: pass, Purpose: store.PurposeInternal,
		Method: store.MethodNative, Policies: []string{MasterPolicy},
	}
}

// RandomPassword returns a password nobody has to remember for long: 26
// letters and digits, 130 bits.
func RandomPassword() string { return rand.Text() }
