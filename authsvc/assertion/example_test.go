package assertion_test

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/assertion"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

// identity is what an upstream learns of a request.
type identity struct {
	jwt.Claims
	Token   string `json:"ath"`
	Tenant  string `json:"tenant_uuid"`
	Session string `json:"session_uuid"`
	Purpose string `json:"purpose"`
}

// verify is what an upstream called service does with X-Auth-Assertion. jwks is
// what GET /0.1/jwks.json answered; token is X-Auth-Token, "" when the guard
// does not pass it on.
func verify(text string, jwks []byte, service, token string, now time.Time) (*identity, error) {
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(jwks, &keys); err != nil {
		return nil, err
	}
	// The algorithm is the upstream's to name, and never the header's.
	parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return nil, err
	}
	// By the kid of the header. When no key has it, ask for the keys again.
	var id identity
	if err := parsed.Claims(&keys, &id); err != nil {
		return nil, err
	}
	if id.Expiry == nil || id.NotBefore == nil {
		return nil, errors.New("good for ever")
	}
	// Five seconds are for clocks that differ. The library's default of a
	// minute would make an assertion good for three times its lifetime.
	err = id.ValidateWithLeeway(jwt.Expected{Issuer: assertion.DefaultIssuer, AnyAudience: jwt.Audience{service}, Time: now}, 5*time.Second)
	if err != nil {
		return nil, err
	}
	if token != "" {
		sum := sha256.Sum256([]byte(token))
		if subtle.ConstantTimeCompare([]byte(id.Token), []byte(base64.RawURLEncoding.EncodeToString(sum[:]))) == 0 {
			return nil, errors.New("of another token")
		}
	}
	return &id, nil
}

func ExampleSigner_JWKS() {
	// The guard signs.
	signer, err := assertion.New(assertion.Config{})
	if err != nil {
		panic(err)
	}
	const token = "01234567-89ab-4cde-8f01-23456789abcd"
	now := time.Now()
	text, err := signer.Sign(grant.New(grant.Fields{
		Token: uuid.MustParse(token), AuthID: "6f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c", ExpiresAt: now.Unix() + 3600, UserTenant: "main",
	}, now), "confd", "")
	if err != nil {
		panic(err)
	}

	// The upstream checks.
	id, err := verify(text, signer.JWKS(), "confd", token, now)
	if err != nil {
		panic(err)
	}
	fmt.Println(id.Subject, id.Tenant)
	_, err = verify(text, signer.JWKS(), "calld", token, now)
	fmt.Println(err)
	// Output:
	// 6f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c main
	// go-jose/go-jose/jwt: validation failed, invalid audience claim (aud)
}
