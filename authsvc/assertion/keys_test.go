package assertion_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/assertion"
)

func TestNew_Refused(t *testing.T) {
	t.Parallel()
	good := newKey(t)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(good)
	labelled := func(label string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
	}
	encode := func(f func(any) ([]byte, error), key any) []byte {
		der, err := f(key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	keys := func(list ...[]byte) assertion.Config { return assertion.Config{Keys: list} }
	for _, c := range []struct {
		name string
		cfg  assertion.Config
		want string
	}{
		{"an empty key", keys(good, nil), "key 2: it is not PEM"},
		{"no PEM", keys([]byte("secret")), "key 1: it is not PEM"},
		{"a password that is PEM of something", keys(labelled("CERTIFICATE", block.Bytes)), `key 1: the PEM block is "CERTIFICATE", not "PRIVATE KEY"`},
		{"a public key", keys(labelled("PUBLIC KEY", encode(x509.MarshalPKIXPublicKey, ec.Public()))), `key 1: the PEM block is "PUBLIC KEY", not "PRIVATE KEY"`},
		{"encrypted", keys(labelled("ENCRYPTED PRIVATE KEY", block.Bytes)), `key 1: the PEM block is "ENCRYPTED PRIVATE KEY", not "PRIVATE KEY"`},
		{"two in one", keys(append(bytes.Clone(good), newKey(t)...)), "key 1: something follows the PEM block"},
		{"no PKCS #8", keys(labelled("PRIVATE KEY", []byte("secret"))), "key 1: it is not PKCS #8"},
		{"cut short", keys(labelled("PRIVATE KEY", block.Bytes[:40])), "key 1: it is not PKCS #8"},
		{"another kind", keys(good, labelled("PRIVATE KEY", encode(x509.MarshalPKCS8PrivateKey, ec))), "key 2: it is a *ecdsa.PrivateKey, not an Ed25519 key"},
		{"twice the same", keys(good, newKey(t), good), "key 3 is the same as key 1"},
		{"an issuer that is not UTF-8", assertion.Config{Issuer: "\xff"}, "the issuer is not UTF-8"},
		{"too short a lifetime", assertion.Config{Lifetime: time.Second}, "the lifetime is 1s: it is whole seconds from 2s to 1m0s"},
		{"a negative one", assertion.Config{Lifetime: -30 * time.Second}, "the lifetime is -30s: it is whole seconds from 2s to 1m0s"},
		{"too long a one", assertion.Config{Lifetime: 61 * time.Second}, "the lifetime is 1m1s: it is whole seconds from 2s to 1m0s"},
		{"a fraction of a second", assertion.Config{Lifetime: 2500 * time.Millisecond}, "the lifetime is 2.5s: it is whole seconds from 2s to 1m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := assertion.New(c.cfg)
			if s != nil || err == nil || err.Error() != "assertion: "+c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// TestSigner_JWKS: the set holds the public halves and nothing else, each by
// its thumbprint.
func TestSigner_JWKS(t *testing.T) {
	t.Parallel()
	first, second := newKey(t), newKey(t)
	for _, c := range []struct {
		name string
		keys [][]byte
		n    int
	}{
		{"generated", nil, 1},
		{"one", [][]byte{first}, 1},
		{"two", [][]byte{second, first}, 2},
		{"text around the PEM block", [][]byte{append([]byte("of the edge\n"), append(first, "\n\n"...)...)}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, _ := newSigner(t, assertion.Config{Keys: c.keys})
			var set map[string][]map[string]string
			if err := json.Unmarshal(s.JWKS(), &set); err != nil || len(set) != 1 || len(set["keys"]) != c.n {
				t.Fatalf("%s: %v", s.JWKS(), err)
			}
			for i, k := range set["keys"] {
				// RFC 7638 §3.3 over the members that RFC 8037 §2 requires.
				sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + k["x"] + `"}`))
				if id := base64.RawURLEncoding.EncodeToString(sum[:]); k["kid"] != id || k["kty"] != "OKP" || k["crv"] != "Ed25519" ||
					k["alg"] != "EdDSA" || k["use"] != "sig" || len(k) != 6 {
					t.Errorf("%v, want kid %s", k, id)
				}
				if _, private := k["d"]; private {
					t.Error("the private key is published")
				}
				if c.keys == nil {
					continue
				}
				block, _ := pem.Decode(c.keys[i])
				parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
				if err != nil {
					t.Fatal(err)
				}
				private := parsed.(ed25519.PrivateKey)
				if k["x"] != base64.RawURLEncoding.EncodeToString(private.Public().(ed25519.PublicKey)) {
					t.Errorf("%v is another key", k)
				}
				for _, encoding := range []*base64.Encoding{base64.RawURLEncoding, base64.RawStdEncoding} {
					if strings.Contains(string(s.JWKS()), encoding.EncodeToString(private.Seed())) {
						t.Error("the private key is published")
					}
				}
			}
			s.JWKS()[0] = 'x'
			if s.JWKS()[0] != '{' {
				t.Error("who is given the set can change it")
			}
		})
	}
}

// TestRotation goes through the steps that Config.Keys describes: at each, an
// upstream that knows the keys of the step before or after accepts what is
// signed, until the old one is dropped.
func TestRotation(t *testing.T) {
	t.Parallel()
	before, after := newKey(t), newKey(t)
	var signers []*assertion.Signer
	steps := [][][]byte{{before}, {before, after}, {after, before}, {after}}
	for _, keys := range steps {
		s, _ := newSigner(t, assertion.Config{Keys: keys})
		signers = append(signers, s)
	}
	for i, signer := range signers {
		for j, upstream := range signers {
			knows := slices.Contains(kids(t, upstream), kid(t, signer))
			if near := i-j <= 1 && j-i <= 1; near && !knows {
				t.Errorf("step %d is not understood by who is at step %d", i, j)
			}
			_, err := verify(sign(t, signer, newGrant(nil), "confd", ""), upstream.JWKS(), "confd", someToken, time.Unix(start, 0))
			if (err == nil) != knows {
				t.Errorf("signed at step %d, read at step %d: %v", i, j, err)
			}
		}
	}
	if kid(t, signers[1]) == kid(t, signers[2]) {
		t.Error("the first key does not sign")
	}
}

func TestSigner_Next(t *testing.T) {
	t.Parallel()
	a, b := newKey(t), newKey(t)
	made := func(cfg assertion.Config) *assertion.Signer {
		cfg.Now = func() time.Time { panic("not the clock of the service") }
		s, err := assertion.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first, clock := newSigner(t, assertion.Config{})
	generated := kid(t, first)
	idOf := func(key []byte) string { return kid(t, made(assertion.Config{Keys: [][]byte{key}})) }
	g := newGrant(nil)
	s := first
	for i, step := range []struct {
		asked assertion.Config
		kept  bool
		kids  []string
	}{
		{assertion.Config{}, true, []string{generated}},
		{assertion.Config{Issuer: assertion.DefaultIssuer, Lifetime: assertion.DefaultLifetime}, true, []string{generated}},
		{assertion.Config{Lifetime: time.Minute}, false, []string{generated}},
		{assertion.Config{Keys: [][]byte{a}}, false, []string{idOf(a)}},
		{assertion.Config{Keys: [][]byte{a}}, true, []string{idOf(a)}},
		{assertion.Config{Keys: [][]byte{a, b}}, false, []string{idOf(a), idOf(b)}},
		{assertion.Config{Keys: [][]byte{b, a}}, false, []string{idOf(b), idOf(a)}},
		{assertion.Config{}, false, []string{generated}}, // again, and not another
		{assertion.Config{Issuer: "edge"}, false, []string{generated}},
		{assertion.Config{}, false, []string{generated}},
	} {
		// Of the second before: what is reused shows in iat.
		clock.set(time.Duration(i) * time.Second)
		sign(t, s, g, "confd", "")
		clock.set(time.Duration(i+1) * time.Second)
		next := s.Next(made(step.asked))
		if (next == s) != step.kept || !slices.Equal(kids(t, next), step.kids) {
			t.Errorf("step %d: kept %v, keys %v", i, next == s, kids(t, next))
		}
		text := sign(t, next, g, "confd", "")
		if !step.kept && times(t, text).IAT != clock.Now().Unix() {
			t.Errorf("step %d: an assertion of the signer before is served", i)
		}
		header, payload := read(t, text)
		issuer := step.asked.Issuer
		if issuer == "" {
			issuer = assertion.DefaultIssuer
		}
		if !strings.Contains(header, `"`+step.kids[0]+`"`) || !strings.Contains(payload, `"iss":"`+issuer+`"`) {
			t.Errorf("step %d: %s %s", i, header, payload)
		}
		s = next
	}

	// The key of a keyless one that comes after another stays, too.
	keyed, _ := newSigner(t, assertion.Config{Keys: [][]byte{a}})
	own := keyed.Next(made(assertion.Config{}))
	if own.Next(made(assertion.Config{})) != own || kid(t, own.Next(made(assertion.Config{Keys: [][]byte{b}})).Next(made(assertion.Config{}))) != kid(t, own) {
		t.Error("a generated key does not survive a reload")
	}
}
