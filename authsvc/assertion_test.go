package authsvc_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/assertion"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
)

// TestAssert: what the service signs is good by the keys it serves, by its own
// clock, and its own key survives reloads, those too that are taken back.
func TestAssert(t *testing.T) {
	t.Parallel()
	st, err := sqlite.Open(filepath.Join(t.TempDir(), "auth.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 0)
	idle := authsvc.Settings{CleanupInterval: -1}
	svc, err := authsvc.New(authsvc.Config{Store: st, Now: func() time.Time { return at }, Cache: cache.Config{Grants: 1000}}, idle)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = svc.Close() })
	g := grant.New(grant.Fields{Token: uuid.New(), AuthID: "alice", UserTenant: "main", ExpiresAt: at.Unix() + 3600}, at)

	// signed returns a new assertion and the id of the key that signed it.
	signed := func() (text, kid string) {
		t.Helper()
		if text, err = svc.Assert(g, "confd", ""); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		svc.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/0.1/jwks.json", nil))
		var keys jose.JSONWebKeySet
		if err := json.Unmarshal(w.Body.Bytes(), &keys); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
		parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.EdDSA})
		if err != nil {
			t.Fatal(err)
		}
		var c jwt.Claims
		if err := parsed.Claims(&keys, &c); err != nil {
			t.Fatal(err)
		}
		if err := c.ValidateWithLeeway(jwt.Expected{Subject: "alice", AnyAudience: jwt.Audience{"confd"}, Time: at}, 0); err != nil {
			t.Error(err)
		}
		return text, parsed.Headers[0].KeyID
	}
	settings := func(cfg assertion.Config) authsvc.Settings {
		s, err := assertion.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		set := idle
		set.Assertion = s
		return set
	}
	key, err := assertion.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}

	first, own := signed()
	at = at.Add(time.Second)
	for name, set := range map[string]authsvc.Settings{"default": idle, "without keys": settings(assertion.Config{})} {
		svc.Apply(set)
		if text, _ := signed(); text != first {
			t.Errorf("%s: a reload that changed nothing had an assertion signed again", name)
		}
	}
	svc.Apply(settings(assertion.Config{Lifetime: time.Minute}))
	if text, kid := signed(); text == first || kid != own {
		t.Error("a lifetime is not applied, or costs the key")
	}
	keyed := settings(assertion.Config{Keys: [][]byte{key}})
	svc.Apply(keyed)
	if _, kid := signed(); kid == own {
		t.Error("a key is not applied")
	}
	svc.Apply(idle)
	if _, kid := signed(); kid != own {
		t.Error("a reload that was taken back cost the generated key")
	}
}
