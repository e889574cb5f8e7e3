package store

import "context"

// Purposes of a user (auth_user.purpose).
const (
	PurposeUser        = "user"
	PurposeInternal    = "internal"
	PurposeExternalAPI = "external_api"
)

// Authentication methods (auth_user.authentication_method and
// auth_tenant.default_authentication_method).
const (
	MethodDefault = "default"
	MethodNative  = "native"
	MethodLDAP    = "ldap"
	MethodSAML    = "saml"
)

// User is one row of auth_user without its password.
type User struct {
	UUID       string
	Username   string  // "" when null
	FirstName  *string // nil when null
	LastName   *string // nil when null
	Enabled    bool    // null counts as false
	TenantUUID string
	Purpose    string
	Method     string // may be MethodDefault
}

// Credentials are what a login is checked against.
type Credentials struct {
	User
	// Method is the user's effective method: his own, or his tenant's
	// default when that is MethodDefault.
	EffectiveMethod string
	// PasswordHash is the lower-case hex of the derived key, "" when null.
	PasswordHash string
	// PasswordSalt is nil when null.
	PasswordSalt []byte
}

// NewUser is what [Users.CreateUser] inserts.
type NewUser struct {
	User                // UUID "" lets the store choose one; TenantUUID "" is the top tenant
	PasswordHash string // "" stores null
	PasswordSalt []byte
	Email        string // "" for none; stored as the main, confirmed address
	PolicySlugs  []string
}

// NewPassword is what [Users.SetPassword] stores.
type NewPassword struct {
	Hash string // "" stores null, which no password matches
	Salt []byte
	// Was, unless "", must still be the user's hash, or there is no such user
	// ([ErrNotFound]): who proved that he knows the old password must not
	// overtake whoever has just replaced it.
	Was string
}

// Email is one row of auth_email.
type Email struct {
	UUID      string
	Address   string
	Main      bool
	Confirmed bool
}

// NewEmail is one address that [Accounts.SetEmails] stores.
type NewEmail struct {
	Address string
	Main    bool
	// Confirmed nil keeps what is stored, and is false for a new address.
	Confirmed *bool
}

// StoredEmail is what became of a [NewEmail].
type StoredEmail struct {
	Email
	Known bool // the user had it before
}

// Account is a user with his addresses: never nil, the main one first, then in
// the order of their bytes.
type Account struct {
	User
	Emails []Email
}

// Users keeps the accounts people and services log in with.
type Users interface {
	// CredentialsByLogin resolves a login among enabled users: first a
	// confirmed e-mail address, then a username, both ignoring case as the
	// database's lower() does. One round trip; [ErrNotFound] when none.
	CredentialsByLogin(ctx context.Context, login string) (Credentials, error)
	// UserByName returns the user, enabled or not, whose username or any
	// e-mail address (confirmed or not) equals name ignoring case:
	// usernames and addresses share one namespace (schema.md §3.3).
	UserByName(ctx context.Context, name string) (User, error)
	// CreateUser inserts the user, his e-mail, his membership in his
	// tenant's all-users group and his policies, all or nothing.
	// [ConflictError] of "username", "email_address" or "uuid", the first of
	// these that is taken; [ErrNotFound] when the tenant, its all-users group or a policy slug
	// (looked up in the top tenant) does not exist.
	CreateUser(ctx context.Context, u NewUser) (User, error)
	// CredentialsByUUID returns what the password of this user is checked
	// against, without hash and salt when there is nothing that he could log
	// in with: he is disabled, or has neither a username nor a confirmed main
	// address. [ErrNotFound] when there is no such user.
	CredentialsByUUID(ctx context.Context, uuid string) (Credentials, error)
	// SetPassword replaces hash and salt and ends the user's sessions, whose
	// tokens it returns, in one transaction; his refresh tokens stay.
	// [ErrNotFound] when there is no such user.
	SetPassword(ctx context.Context, userUUID string, p NewPassword) ([]EndedToken, error)
	// HasUsers reports whether there is any user.
	HasUsers(ctx context.Context) (bool, error)
	// ListUsers returns every user ordered by username (nulls last), uuid.
	ListUsers(ctx context.Context) ([]User, error)
}

// Accounts reads, changes and ends accounts.
type Accounts interface {
	// ListAccounts orders by username (the default), firstname or lastname,
	// searches these and all addresses, and filters uuid, username, firstname,
	// lastname, purpose, email_address, group_uuid, policy_uuid and
	// policy_slug (the user's own), has_policy_uuid and has_policy_slug (his
	// own or a group's): all strings that must be equal. l.Group selects its
	// members.
	ListAccounts(ctx context.Context, l List) (Page[Account], error)
	// Emails returns the addresses of a user as in [Account]; none when there
	// is no such user.
	Emails(ctx context.Context, userUUID string) ([]Email, error)
	// UpdateUser replaces everything of the user with this uuid but his
	// tenant. When he is disabled then, his sessions end, whose tokens it
	// returns; his refresh tokens stay. [ConflictError] of "username";
	// [ErrNotFound] when there is no such user.
	UpdateUser(ctx context.Context, u User) ([]EndedToken, error)
	// SetEmails replaces the addresses of a user and returns them in the order
	// in which they were given. One that he has, spelled the same, stays the
	// same row. [ConflictError] of "email_address" when somebody else logs in
	// with one of them, which is looked at first; [ErrNotFound] when there is
	// no such user; another [ErrConflict] when two of them differ in case only.
	SetEmails(ctx context.Context, userUUID string, emails []NewEmail) ([]StoredEmail, error)
	// UserByUUID returns the user, enabled or not; [ErrNotFound] when none.
	UserByUUID(ctx context.Context, uuid string) (User, error)
	// SetUserEnabled enables or disables the user. Disabling ends his
	// sessions and returns their tokens; his refresh tokens stay.
	SetUserEnabled(ctx context.Context, uuid string, enabled bool) ([]EndedToken, error)
	// DeleteUser removes the user with his refresh tokens, his sessions and
	// their tokens, which it returns, in one transaction.
	DeleteUser(ctx context.Context, uuid string) ([]EndedToken, error)
}
