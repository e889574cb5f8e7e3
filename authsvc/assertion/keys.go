package assertion

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// pemType is the label of a PKCS #8 key in PEM (RFC 7468 §10).
const pemType = "PRIVATE KEY"

// GenerateKey returns a new private key, as [Config] takes it.
func GenerateKey() ([]byte, error) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, fmt.Errorf("assertion: generating a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, fmt.Errorf("assertion: encoding a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
}

// ring is keys in use. Immutable.
type ring struct {
	ids    []string    // of all keys, the one that signs first
	signer jose.Signer // its methods may be called concurrently
	jwks   []byte
}

// newRing reads keys, or generates one when there are none.
func newRing(pems [][]byte) (*ring, error) {
	if len(pems) == 0 {
		generated, err := GenerateKey()
		if err != nil {
			return nil, err
		}
		pems = [][]byte{generated}
	}
	r := &ring{}
	var set jose.JSONWebKeySet
	for i, text := range pems {
		private, err := parseKey(text)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		// Only the public half goes into the set: there is nothing to leak.
		public := jose.JSONWebKey{Key: private.Public(), Algorithm: string(jose.EdDSA), Use: "sig"}
		sum, err := public.Thumbprint(crypto.SHA256) // RFC 7638
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		public.KeyID = base64.RawURLEncoding.EncodeToString(sum)
		if before := slices.Index(r.ids, public.KeyID); before >= 0 {
			return nil, fmt.Errorf("key %d is the same as key %d", i+1, before+1)
		}
		if i == 0 {
			by := jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: public.KeyID}}
			if r.signer, err = jose.NewSigner(by, (&jose.SignerOptions{}).WithType("JWT")); err != nil {
				return nil, fmt.Errorf("key 1: %w", err)
			}
		}
		r.ids = append(r.ids, public.KeyID)
		set.Keys = append(set.Keys, public)
	}
	var err error
	if r.jwks, err = json.Marshal(set); err != nil {
		return nil, fmt.Errorf("encoding the public keys: %w", err)
	}
	return r, nil
}

// same reports whether o has the same keys in the same order.
func (r *ring) same(o *ring) bool { return slices.Equal(r.ids, o.ids) }

// parseKey reads a private key. No error of it tells anything of the key.
func parseKey(text []byte) (ed25519.PrivateKey, error) {
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return nil, errors.New("it is not PEM")
	case block.Type != pemType:
		return nil, fmt.Errorf("the PEM block is %q, not %q", block.Type, pemType)
	case len(bytes.TrimSpace(rest)) != 0:
		return nil, errors.New("something follows the PEM block")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("it is not PKCS #8")
	}
	private, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("it is a %T, not an Ed25519 key", parsed)
	}
	return private, nil
}
