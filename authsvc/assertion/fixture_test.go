package assertion_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/assertion"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

const (
	someToken   = "01234567-89ab-4cde-8f01-23456789abcd"
	otherToken  = "11234567-89ab-4cde-8f01-23456789abcd"
	someUser    = "6f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c"
	someTenant  = "7f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c"
	otherTenant = "8f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c"
	someSession = "c0ffee00-1234-4abc-8def-0123456789ab"

	start = int64(1_700_000_000) // 2023-11-14T22:13:20Z
)

// newGrant is that of an ordinary token of a person, changed by edit.
func newGrant(edit func(*grant.Fields)) *grant.Grant {
	f := grant.Fields{
		Token: uuid.MustParse(someToken), AuthID: someUser, PBXUserUUID: someUser,
		IssuedAt: start - 60, ExpiresAt: start + 7200,
		Metadata:    grant.Metadata(someUser, someTenant, someUser, "", "user"),
		SessionUUID: someSession, UserTenant: someTenant,
	}
	if edit != nil {
		edit(&f)
	}
	return grant.New(f, time.Unix(start, 0))
}

// clock stands until it is set. Safe for concurrent use.
type clock struct{ at atomic.Int64 } // nanoseconds after start

func (c *clock) Now() time.Time          { return time.Unix(start, c.at.Load()) }
func (c *clock) set(after time.Duration) { c.at.Store(int64(after)) }

// newSigner returns a signer by a clock that stands at start.
func newSigner(tb testing.TB, cfg assertion.Config) (*assertion.Signer, *clock) {
	tb.Helper()
	c := &clock{}
	cfg.Now = c.Now
	s, err := assertion.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return s, c
}

func newKey(tb testing.TB) []byte {
	tb.Helper()
	k, err := assertion.GenerateKey()
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func sign(tb testing.TB, s *assertion.Signer, g *grant.Grant, audience, tenant string) string {
	tb.Helper()
	text, err := s.Sign(g, audience, tenant)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// read returns the header and payload as they stand.
func read(tb testing.TB, text string) (header, payload string) {
	tb.Helper()
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		tb.Fatalf("%q is no compact JWS", text)
	}
	for i := range parts[:2] {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			tb.Fatal(err)
		}
		parts[i] = string(b)
	}
	return parts[0], parts[1]
}

// times are the claims about time.
func times(tb testing.TB, text string) (c struct{ IAT, NBF, EXP int64 }) {
	tb.Helper()
	_, payload := read(tb, text)
	if err := json.Unmarshal([]byte(payload), &c); err != nil {
		tb.Fatal(err)
	}
	return c
}

func ath(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// kid is the id of the key that signs.
func kid(tb testing.TB, s *assertion.Signer) string {
	tb.Helper()
	return kids(tb, s)[0]
}

func kids(tb testing.TB, s *assertion.Signer) (ids []string) {
	tb.Helper()
	var set struct{ Keys []struct{ Kid string } }
	if err := json.Unmarshal(s.JWKS(), &set); err != nil || len(set.Keys) == 0 {
		tb.Fatalf("%s: %v", s.JWKS(), err)
	}
	for _, k := range set.Keys {
		ids = append(ids, k.Kid)
	}
	return ids
}
