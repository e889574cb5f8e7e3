package assertion_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/wazo-edge/xivo-auth/authsvc/assertion"
)

// TestSec_J1: an upstream that verifies as documented believes nothing but what
// was signed for it, just now, for the request at hand.
func TestSec_J1(t *testing.T) {
	t.Parallel()
	s, clock := newSigner(t, assertion.Config{})
	good := sign(t, s, newGrant(nil), "confd", "")
	if _, err := verify(good, s.JWKS(), "confd", someToken, clock.Now()); err != nil {
		t.Fatal(err)
	}
	header, payload := read(t, good)
	signature := good[strings.LastIndexByte(good, '.')+1:]
	b64 := base64.RawURLEncoding.EncodeToString
	put := func(header, payload, signature string) string {
		return b64([]byte(header)) + "." + b64([]byte(payload)) + "." + signature
	}

	var set jose.JSONWebKeySet
	if err := json.Unmarshal(s.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	public := set.Keys[0].Key.(ed25519.PublicKey)
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	// by signs payload with a key of the attacker's.
	by := func(alg jose.SignatureAlgorithm, key any, kid, payload string, o jose.SignerOptions) string {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, &o)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign([]byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		text, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	_, foreign, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	stranger, _ := newSigner(t, assertion.Config{})
	otherIssuer, _ := newSigner(t, assertion.Config{Issuer: "edge"})
	id := kid(t, s)
	hmac := func(key []byte) string { return by(jose.HS256, key, id, payload, jose.SignerOptions{}) }

	for _, c := range []struct {
		name, text string
		jwks       []byte
		service    string
		token      string
		after      time.Duration
	}{
		{"replayed at another service", good, s.JWKS(), "calld", someToken, 0},
		{"a service whose name begins so", good, s.JWKS(), "conf", someToken, 0},
		{"a service in another case", good, s.JWKS(), "Confd", someToken, 0},
		{"with another token", good, s.JWKS(), "confd", otherToken, 0},
		{"expired", good, s.JWKS(), "confd", someToken, 36 * time.Second},
		{"after a minute, whatever the leeway", good, s.JWKS(), "confd", someToken, time.Minute},
		{"not good yet", good, s.JWKS(), "confd", someToken, -6 * time.Second},
		{"of another issuer", sign(t, otherIssuer, newGrant(nil), "confd", ""), otherIssuer.JWKS(), "confd", someToken, 0},
		{"of another's key", sign(t, stranger, newGrant(nil), "confd", ""), s.JWKS(), "confd", someToken, 0},
		{"the key was dropped", good, stranger.JWKS(), "confd", someToken, 0},
		{"alg none", put(`{"alg":"none","kid":"`+id+`","typ":"JWT"}`, payload, ""), s.JWKS(), "confd", someToken, 0},
		{"alg none in another case", put(`{"alg":"NoNe","kid":"`+id+`","typ":"JWT"}`, payload, ""), s.JWKS(), "confd", someToken, 0},
		{"alg none with the signature", put(`{"alg":"none","kid":"`+id+`"}`, payload, signature), s.JWKS(), "confd", someToken, 0},
		{"HS256 with the public key", hmac(public), s.JWKS(), "confd", someToken, 0},
		{"HS256 with the public key in DER", hmac(der), s.JWKS(), "confd", someToken, 0},
		{"HS256 with the public key in PEM", hmac(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), s.JWKS(), "confd", someToken, 0},
		{"HS256 with the key set", hmac(s.JWKS()), s.JWKS(), "confd", someToken, 0},
		{"another key under the same kid", by(jose.EdDSA, foreign, id, payload, jose.SignerOptions{}), s.JWKS(), "confd", someToken, 0},
		{"another key that it brings along", by(jose.EdDSA, foreign, id, payload, jose.SignerOptions{EmbedJWK: true}), s.JWKS(), "confd", someToken, 0},
		{"no kid", by(jose.EdDSA, foreign, "", payload, jose.SignerOptions{}), s.JWKS(), "confd", someToken, 0},
		{"another user", put(header, strings.Replace(payload, someUser, otherTenant, 1), signature), s.JWKS(), "confd", someToken, 0},
		{"another tenant", put(header, strings.Replace(payload, someTenant, otherTenant, 1), signature), s.JWKS(), "confd", someToken, 0},
		{"another service", put(header, strings.Replace(payload, "confd", "calld", 1), signature), s.JWKS(), "calld", someToken, 0},
		{"no signature", put(header, payload, ""), s.JWKS(), "confd", someToken, 0},
		{"a token in its place", someToken, s.JWKS(), "confd", someToken, 0},
		{"nothing", "", s.JWKS(), "confd", someToken, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if id, err := verify(c.text, c.jwks, c.service, c.token, time.Unix(start, 0).Add(c.after)); err == nil {
				t.Errorf("%+v is believed", id)
			}
		})
	}

	// None of the attacks above may fail for a mistake of its own: signed with
	// the right key by the same hand, the payload is good.
	_, mine, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	trusting, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: mine.Public(), KeyID: id}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify(by(jose.EdDSA, mine, id, payload, jose.SignerOptions{}), trusting, "confd", someToken, clock.Now()); err != nil {
		t.Error(err)
	}
}
