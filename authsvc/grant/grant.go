// Package grant holds what a valid token grants: who, in which tenant and
// session, until when, and through which accesses.
//
// A token row never changes after it was issued, so a grant is the one thing
// the service caches; every question about scope, tenant or route is decided
// locally from it (ADR 0002). A [Grant] is immutable and safe for concurrent
// use. A million of them are meant to be resident at once, so uuids are kept
// in their 16 bytes, repeated text is interned, and whatever can be computed
// from the rest is not kept at all.
package grant

import (
	"strings"
	"time"
	"unique"
	"unsafe"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
)

// InternalAuthID is the auth id of tokens the service issues to itself. It
// names no user, has no current tenant and passes every tenant check.
const InternalAuthID = "wazo-auth"

// Fields are the plain values a grant is made of, as they stand in the store.
type Fields struct {
	Token       uuid.UUID
	AuthID      string
	PBXUserUUID string // "" is null
	XiVOUUID    string // "" is null
	IssuedAt    int64  // Unix seconds
	ExpiresAt   int64  // Unix seconds; valid through this second
	Metadata    string // JSON object, "" is null
	SessionUUID string
	UserAgent   string
	RemoteAddr  string
	UserTenant  string // current tenant of the user, "" when there is no such user
	ACL         *acl.ACL
	// OwnACL says that no other grant shares ACL yet, so that its size is
	// this grant's to answer for: many grants with an ACL of their own must
	// not make a cache outgrow its bound.
	OwnACL bool
}

// Grant is what one valid token grants.
type Grant struct {
	token, session, user uuid.UUID

	expires   int64 // Unix seconds
	validated int64 // Unix nanoseconds: when the store last vouched for it
	acl       *acl.ACL
	texts     unique.Handle[texts]
	addr      string
	rare      *rare // nil for nearly every grant
	lifetime  int32 // seconds from issue to expiry, both int4 in the schema
	ownACL    bool
	pbxUser   bool // xivo_user_uuid is the user himself
}

// texts are what few of the grants differ in, kept once for all that share it.
type texts struct {
	xivo, agent, purpose string
	tenant               string // the user's current one
}

// rare holds what an ordinary grant computes from its other fields.
type rare struct {
	authID  string // an auth id that is not a uuid
	session string // a session that is not a canonical uuid
	pbxUser string // an xivo_user_uuid that is neither null nor the auth id

	oddMetadata bool   // metadata says something else than the other fields
	metadata    string // then this is its text
	tenantMD    string // and the tenant it names
}

// New makes a grant of f that the store vouched for at validated. Metadata is
// kept as text only when it says something the other fields do not.
func New(f Fields, validated time.Time) *Grant {
	g := &Grant{
		token:     f.Token,
		expires:   f.ExpiresAt,
		lifetime:  int32(f.ExpiresAt - f.IssuedAt),
		validated: validated.UnixNano(),
		acl:       f.ACL,
		ownACL:    f.OwnACL,
		// A copy: the text may be cut out of a header of any length, which the
		// grant would keep alive for as long as it is resident.
		addr: strings.Clone(f.RemoteAddr),
	}
	var r rare
	g.user, r.authID = pack(f.AuthID)
	g.session, r.session = pack(f.SessionUUID)
	switch f.PBXUserUUID {
	case "":
	case f.AuthID:
		g.pbxUser = true
	default:
		r.pbxUser = f.PBXUserUUID
	}
	md := readMetadata(f.Metadata)
	g.texts = unique.Make(texts{f.XiVOUUID, f.UserAgent, md.Purpose, f.UserTenant})
	if r != (rare{}) {
		g.rare = &r
	}
	if f.Metadata != string(g.appendUsualMetadata(nil)) {
		r.oddMetadata, r.metadata, r.tenantMD = true, f.Metadata, md.TenantUUID
		g.rare = &r
	}
	return g
}

// pack returns s as a uuid, or as itself when it is none. The nil uuid stays
// text, too: packed, it stands for the empty string.
func pack(s string) (uuid.UUID, string) {
	if id, ok := ParseID(s); ok && id != (uuid.UUID{}) {
		return id, ""
	}
	return uuid.UUID{}, s
}

// unpack reverses pack.
func unpack(id uuid.UUID, text string) string {
	if id == (uuid.UUID{}) {
		return text
	}
	return id.String()
}

// appendPacked appends what unpack returns.
func appendPacked(dst []byte, id uuid.UUID, text string) []byte {
	if id == (uuid.UUID{}) {
		return append(dst, text...)
	}
	return AppendID(dst, id)
}

func (g *Grant) odd() rare {
	if g.rare == nil {
		return rare{}
	}
	return *g.rare
}

// Token is the token itself.
func (g *Grant) Token() uuid.UUID { return g.token }

// AuthID is the user's uuid, or [InternalAuthID]. Allocates.
func (g *Grant) AuthID() string { return unpack(g.user, g.odd().authID) }

// SessionUUID is the session the token belongs to. Allocates.
func (g *Grant) SessionUUID() string { return unpack(g.session, g.odd().session) }

// UserTenant is the current tenant of the user, "" when the auth id names no
// existing user.
func (g *Grant) UserTenant() string { return g.texts.Value().tenant }

// Tenant is the tenant requests act in when they name none: the user's
// current one, or the one in the metadata when there is no such user.
func (g *Grant) Tenant() string {
	if g.UserExists() {
		return g.UserTenant()
	}
	return g.odd().tenantMD
}

// Identity returns what [Grant.AuthID], [Grant.SessionUUID] and [Grant.Tenant]
// do, with one allocation for all three.
func (g *Grant) Identity() (authID, session, tenant string) {
	if none := (uuid.UUID{}); g.user == none || g.session == none {
		return g.AuthID(), g.SessionUUID(), g.Tenant()
	}
	b := AppendID(make([]byte, 0, 2*textLen), g.user)
	s := string(AppendID(b, g.session))
	return s[:textLen], s[textLen:], g.Tenant()
}

// TenantIs reports whether the user's current tenant is spelled exactly so.
// It does not allocate.
func (g *Grant) TenantIs(tenant string) bool { return tenant != "" && tenant == g.UserTenant() }

// UserExists reports whether the auth id named a user when the grant was read.
func (g *Grant) UserExists() bool { return g.UserTenant() != "" }

// IsInternal reports whether the service issued the token to itself.
func (g *Grant) IsInternal() bool { return g.rare != nil && g.rare.authID == InternalAuthID }

// IsUser reports whether the auth id is a uuid, which is what a user's is.
func (g *Grant) IsUser() bool { return g.user != uuid.UUID{} }

// Purpose is "user", "internal", "external_api", or "" when unknown.
func (g *Grant) Purpose() string { return g.texts.Value().purpose }

// ACL is what the token may access.
func (g *Grant) ACL() *acl.ACL { return g.acl }

// ExpiresAt is the last second in which the token is valid.
func (g *Grant) ExpiresAt() time.Time { return time.Unix(g.expires, 0) }

// Expired reports whether the token is past its last valid second at now. The
// stored second is compared with the full clock, so a token dies the moment
// its second begins to be over (token.md §8).
func (g *Grant) Expired(now time.Time) bool {
	s := now.Unix()
	return s > g.expires || s == g.expires && now.Nanosecond() > 0
}

// Age is how long ago the store vouched for the grant.
func (g *Grant) Age(now time.Time) time.Duration { return time.Duration(now.UnixNano() - g.validated) }

// Vouched returns the grant as if the store had vouched for it at another
// moment.
func (g *Grant) Vouched(at time.Time) *Grant {
	other := *g
	other.validated = at.UnixNano()
	return &other
}

// Validated is when the store last vouched for the grant, in Unix nanoseconds.
func (g *Grant) Validated() int64 { return g.validated }

// User is the auth id as a uuid, the nil one when it is none.
func (g *Grant) User() uuid.UUID { return g.user }

// Allows reports whether the token may access required. It does not allocate:
// the ids that `me` and `my_session` stand for are spelled on the stack, and
// only for lists that hold these words: it would be a tenth of the decision.
func (g *Grant) Allows(required string) bool {
	var (
		user, session [textLen]byte
		self          acl.Self
	)
	me, mySession := g.acl.Needs()
	if me {
		self.AuthID = g.appendAuthID(user[:0])
	}
	if mySession {
		self.SessionID = g.appendSession(session[:0])
	}
	return g.acl.Match(required, self)
}

// MayAdd reports whether the holder of the token may put access into a policy
// (contract: acl.md §4).
func (g *Grant) MayAdd(access string) bool { return g.acl.MayAdd(access, g.self()) }

// MayRemove reports whether the holder of the token may take access out of a
// policy.
func (g *Grant) MayRemove(access string) bool { return g.acl.MayRemove(access, g.self()) }

// Decisive returns the access that decides about required; see
// [acl.ACL.Decisive].
func (g *Grant) Decisive(required string) string {
	return g.acl.Decisive(required, g.self())
}

// self is who `me` and `my_session` stand for. Allocates.
func (g *Grant) self() acl.Self {
	return acl.Self{AuthID: g.appendAuthID(nil), SessionID: g.appendSession(nil)}
}

func (g *Grant) appendAuthID(dst []byte) []byte {
	if g.rare != nil {
		return appendPacked(dst, g.user, g.rare.authID)
	}
	return appendPacked(dst, g.user, "")
}

func (g *Grant) appendSession(dst []byte) []byte {
	if g.rare != nil {
		return appendPacked(dst, g.session, g.rare.session)
	}
	return appendPacked(dst, g.session, "")
}

// sharedAgent is the longest User-Agent that counts as one of the few every
// client of a kind sends.
const sharedAgent = 256

// Size is about how many bytes the grant keeps resident, its ACL included when
// it was the first to hold it, and a User-Agent so long that it is nobody
// else's.
func (g *Grant) Size() int {
	n := int(unsafe.Sizeof(*g)) + len(g.addr)
	if agent := len(g.texts.Value().agent); agent > sharedAgent {
		n += agent
	}
	if r := g.rare; r != nil {
		n += int(unsafe.Sizeof(*r)) + len(r.authID) + len(r.session) + len(r.pbxUser) + len(r.metadata) + len(r.tenantMD)
	}
	if g.ownACL {
		n += g.acl.Size()
	}
	return n
}
