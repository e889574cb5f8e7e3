// Package assertion tells an upstream who a request is from in a way it can
// check: a short-lived JWT (RFC 7519), signed with Ed25519 (RFC 8037), that the
// guard sends in X-Auth-Assertion. An upstream on another host then need not
// trust the network between them, as it has to with plain headers.
//
// The claims:
//
//	iss           the issuer, as configured
//	aud           the name of the one service it is for, a string
//	sub           the auth id: a user's uuid, or "wazo-auth"
//	iat, nbf      when it was signed, Unix seconds
//	exp           at most 60 s later, and never after the token's own end
//	ath           base64url of the SHA-256 of the token's text (RFC 9449 §4.2)
//	tenant_uuid   the tenant the request acts in
//	session_uuid  the session of the token
//	purpose       "user", "internal" or "external_api"
//
// The last three are left out where there is nothing to tell. ath binds the
// assertion to its token: an upstream that receives X-Auth-Token, too, can see
// that the two belong together. It is the registered claim for just that hash.
// OIDC's at_hash is cut in half, and of EdDSA it does not say which hash; what
// RFC 7800 and RFC 8705 register for cnf are keys and certificates, and a
// bearer token has neither.
//
// There is no jti: an assertion is reused for some seconds, so an upstream that
// refused an id it has seen would refuse good requests. Within its lifetime,
// and at the service it is for, an assertion is thus as good as the token for
// whoever reads it on the way, even when the token is revoked meanwhile; it
// replaces trust in the network and not TLS.
//
// An upstream takes the keys from GET /0.1/jwks.json, keeps them for as long as
// Cache-Control says, asks again when it meets a kid it does not know, though
// not more than once in some seconds, and accepts an assertion only when alg is
// EdDSA (never what the header asks for: RFC 8725 §3.1), the signature is good,
// iss and aud are what it expects, and exp is there and not over. See the
// example of [Signer.JWKS].
package assertion

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

const (
	// remembered is how many assertions are kept for reuse, about 1 kB each.
	// One that was dropped is signed again.
	remembered = 8192
	// longest is the most text that is kept as the key of one: a tenant is as
	// long as a header may be, for those who may act in any.
	longest = 512
)

// claims is the payload, in the order of the package's documentation.
type claims struct {
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
	Subject   string `json:"sub"`
	IssuedAt  int64  `json:"iat"`
	NotBefore int64  `json:"nbf"`
	Expires   int64  `json:"exp"`
	Token     string `json:"ath"`
	Tenant    string `json:"tenant_uuid,omitempty"`
	Session   string `json:"session_uuid,omitempty"`
	Purpose   string `json:"purpose,omitempty"`
}

// subject is what an assertion is about. Everything else in it follows from
// the token, whose row never changes.
type subject struct {
	token            uuid.UUID
	audience, tenant string
}

// made is an assertion that was signed and may be used again.
type made struct {
	text        string
	from, until int64 // Unix nanoseconds
}

func memory() *lru.Cache[subject, made] {
	m, err := lru.New[subject, made](remembered)
	if err != nil {
		panic(err) // only for a size below one
	}
	return m
}

// Sign returns the assertion that a request with the token of g, which may act
// in tenant, is to carry to the service called audience. tenant "" is the
// user's own, as in a guard's decision. The same text is returned again for at
// most half of the lifetime, and only while the other half of it is left: that
// takes no allocation, where signing takes some 25 µs. Nobody is asked whether
// the token was revoked: g is what the guard has just let pass.
//
// The error is [grant.ErrUnknown] when the token is in its last instant or
// past it; any other says that a claim cannot be spelled.
func (s *Signer) Sign(g *grant.Grant, audience, tenant string) (string, error) {
	if tenant == "" {
		tenant = g.Tenant()
	}
	about := subject{g.Token(), audience, tenant}
	now := s.now()
	at := now.UnixNano()
	// Not before it was signed either: a clock that was set back would make it
	// one of the future, which is refused.
	if m, ok := s.made.Get(about); ok && m.from <= at && at <= m.until {
		return m.text, nil
	}
	issued, over := now.Unix(), g.ExpiresAt().Unix()
	if issued >= over {
		return "", fmt.Errorf("assertion: %w", grant.ErrUnknown)
	}
	over = min(over, issued+int64(s.lifetime/time.Second))
	text, err := s.sign(g, about, issued, over)
	if err != nil {
		return "", fmt.Errorf("assertion: %w", err)
	}
	until := time.Unix(over, 0).Add(-s.lifetime / 2).UnixNano()
	if at <= until && len(audience)+len(tenant) <= longest {
		about.tenant = strings.Clone(tenant) // it may be cut out of something larger
		s.made.Add(about, made{text, at, until})
	}
	return text, nil
}

func (s *Signer) sign(g *grant.Grant, about subject, issued, over int64) (string, error) {
	// No audience is a mistake that some libraries take for any audience.
	if about.audience == "" {
		return "", errors.New("no audience")
	}
	c := claims{
		Issuer: s.issuer, Audience: about.audience, Subject: g.AuthID(),
		IssuedAt: issued, NotBefore: issued, Expires: over,
		Token: hash(about.token), Tenant: about.tenant, Session: g.SessionUUID(), Purpose: g.Purpose(),
	}
	for _, text := range []string{c.Audience, c.Subject, c.Tenant, c.Session, c.Purpose} {
		// JSON would say U+FFFD, and so the same of two that differ.
		if !utf8.ValidString(text) {
			return "", errors.New("a claim is not UTF-8")
		}
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	signed, err := s.signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// hash is the claim ath of a token: a token is random enough for its hash to
// tell nothing of it.
func hash(token uuid.UUID) string {
	sum := sha256.Sum256(grant.AppendID(nil, token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
