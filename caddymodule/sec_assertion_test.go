package caddymodule

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/wazo-edge/xivo-auth/authsvc/assertion"
)

// asserted is what an upstream learns from an assertion.
type asserted struct {
	jwt.Claims
	Token   string `json:"ath"`
	Tenant  string `json:"tenant_uuid"`
	Session string `json:"session_uuid"`
	Purpose string `json:"purpose"`
}

// verifyAssertion is what the upstream called service does with one: its own
// name for the audience, the algorithm it wants, keys from the API.
func verifyAssertion(keys jose.JSONWebKeySet, text, service string, at time.Time) (asserted, error) {
	var c asserted
	parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return c, err
	}
	if err := parsed.Claims(&keys, &c); err != nil {
		return c, err
	}
	if c.Expiry == nil || c.IssuedAt == nil || len(c.Audience) != 1 {
		return c, errors.New("it has no end, no beginning, or not one audience")
	}
	return c, c.ValidateWithLeeway(jwt.Expected{Issuer: "xivo-auth", AnyAudience: jwt.Audience{service}, Time: at}, 0)
}

// jwks are the keys that the API serves.
func (s *seams) jwks(t *testing.T) (keys jose.JSONWebKeySet) {
	t.Helper()
	r := s.bytesTo(t, s.port, "GET", head("GET", "/0.1/jwks.json", "api", nil)+"\r\n")
	if err := json.Unmarshal([]byte(r.body), &keys); err != nil || r.status != http.StatusOK {
		t.Fatalf("jwks: %d %s %v", r.status, r.body, err)
	}
	for _, k := range keys.Keys {
		if !k.IsPublic() || !k.Valid() {
			t.Errorf("the API serves a private key, or none: %s", r.body)
		}
	}
	if strings.Contains(r.body, `"d"`) {
		t.Errorf("the API serves a private key: %s", r.body)
	}
	return keys
}

// J1: an upstream took a header for granted, whoever had sent it (gogs
// GHSA-w6j9-vw59-27wv), or an assertion that was made for another service
// (Pomerium CVE-2024-47616).
func TestSec_J1(t *testing.T) {
	now := setClock(t)
	keyed := func(keys string) sec {
		return sec{
			service: "service confd {\n route GET /users confd.read\n route GET /open public\n}\nservice calld {\n route GET /users calld.read\n}",
			app:     "assertion {\n key " + keys + "\n lifetime 1m\n}",
			gates: []gateSpec{
				{host: "confd", args: "confd", options: "assertion"}, {host: "calld", args: "calld", options: "assertion"},
				{host: "named", options: "scope confd.read\nassertion billing"}, {host: "plain", args: "confd"},
				{host: "shadow", args: "confd", options: "assertion\nshadow"},
			},
		}
	}
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first.pem"), filepath.Join(dir, "second.pem")
	for _, file := range []string{first, second} {
		key, err := assertion.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		write(t, file, string(key))
	}
	s := newSeams(t, keyed(first))
	alice, bob := s.mint(s.alice, "confd.read", "calld.read"), s.mint(s.bob, "confd.read")
	short := mint(t, s.db, s.alice, now.now().Add(7*time.Second), "confd.read")
	s.both(t, func(t *testing.T, s side) {
		s.load(t, keyed(first))
		keys := s.jwks(t)
		get := func(host string, header ...string) string {
			t.Helper()
			got := s.wantPassed(t, host, s.send(t, host, "GET", "/users", header...))
			list := headerValues(got, headerAssertion)
			if len(list) != 1 {
				t.Fatalf("%s: the upstream got %d assertions:\n%s", host, len(list), got)
			}
			return list[0]
		}
		confd := get("confd", "X-Auth-Token", alice)
		c, err := verifyAssertion(keys, confd, "confd", now.now())
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(alice))
		if c.Subject != s.alice.UUID || c.Tenant != s.alice.TenantUUID || c.Purpose != "user" || c.Session == "" || c.Token != base64.RawURLEncoding.EncodeToString(sum[:]) {
			t.Errorf("it says %+v", c)
		}
		if life := c.Expiry.Time().Sub(c.IssuedAt.Time()); life > time.Minute || life <= 0 || c.Expiry.Time().After(now.now().Add(time.Minute)) {
			t.Errorf("it is good for %s, until %s", life, c.Expiry.Time())
		}
		if _, err := verifyAssertion(keys, confd, "confd", now.now().Add(61*time.Second)); !errors.Is(err, jwt.ErrExpired) {
			t.Errorf("after a minute: %v", err)
		}
		if c, err := verifyAssertion(keys, get("confd", "X-Auth-Token", short), "confd", now.now()); err != nil || c.Expiry.Time().After(now.now().Add(7*time.Second)) {
			t.Errorf("an assertion outlives its token: %v, %v", c.Expiry.Time(), err)
		}

		// For one service, and no other.
		for host, audience := range map[string]string{"confd": "confd", "calld": "calld", "named": "billing"} {
			text := get(host, "X-Auth-Token", alice)
			for _, service := range []string{"confd", "calld", "billing", "", "*", "Confd", "confd "} {
				if _, err := verifyAssertion(keys, text, service, now.now()); (err == nil) != (service == audience) {
					t.Errorf("what is for %s is judged by %q: %v", audience, service, err)
				}
			}
		}
		// Played back by a client to another service, it does not get there.
		for _, host := range []string{"calld", "confd", "named"} {
			if got := get(host, "X-Auth-Token", alice, headerAssertion, confd+"x"); strings.Contains(got, confd+"x") {
				t.Errorf("%s: a client's own assertion reached the upstream", host)
			}
		}
		if got := get("calld", "X-Auth-Token", alice, headerAssertion, confd); got == confd {
			t.Error("calld got what was made for confd")
		}
		for host, target := range map[string]string{"plain": "/users", "confd": "/open", "shadow": "/users"} {
			header := []string{headerAssertion, confd, "x_auth_assertion", confd}
			if host == "plain" {
				header = append(header, "X-Auth-Token", alice)
			}
			if got := s.wantPassed(t, host, s.send(t, host, "GET", target, header...)); strings.Contains(got, confd) || headerValues(got, headerAssertion) != nil {
				t.Errorf("%s: the upstream was sent a client's assertion:\n%s", host, got)
			}
		}
		// Nor has whoever is refused one to show.
		for _, host := range []string{"calld", "confd"} {
			for _, header := range [][]string{nil, {"X-Auth-Token", "x"}, {"X-Auth-Token", bob, "Wazo-Tenant", s.alice.TenantUUID}} {
				if r := s.judge(t, host, "GET", "/users", header...); r.status == http.StatusOK || r.header.Get(headerAssertion) != "" {
					t.Errorf("%s: refused with %d %v", host, r.status, r.header)
				}
			}
		}

		// One for each who and where: none is reused for another.
		seen := map[string]string{}
		for name, header := range map[string][]string{
			"alice": {"X-Auth-Token", alice}, "bob": {"X-Auth-Token", bob}, "alice, below": {"X-Auth-Token", alice, "Wazo-Tenant", s.below}, "another token of alice": {"X-Auth-Token", s.mint(s.alice, "confd.read")},
		} {
			text := get("confd", header...)
			if other, twice := seen[text]; twice {
				t.Errorf("%s and %s have the same", name, other)
			}
			seen[text] = name
			c, err := verifyAssertion(keys, text, "confd", now.now())
			if want := s.alice.UUID; err != nil || name != "bob" && c.Subject != want || name == "bob" && c.Subject != s.bob.UUID {
				t.Errorf("%s: %v %+v", name, err, c)
			}
			if below := name == "bob" || name == "alice, below"; below != (c.Tenant == s.below) {
				t.Errorf("%s acts in %s", name, c.Tenant)
			}
		}

		// Keys are rotated by reloads: the new one is known before it signs,
		// and the old one until what it signed is over.
		kid := func(text string) string {
			t.Helper()
			parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.EdDSA})
			if err != nil {
				t.Fatal(err)
			}
			return parsed.Headers[0].KeyID
		}
		for step, c := range []struct {
			keys      string
			old       bool // what the first key signed is good still
			published int
		}{
			{first + " " + second, true, 2},
			{second + " " + first, true, 2},
			{second, false, 1},
		} {
			s.load(t, keyed(c.keys))
			before := keys
			keys = s.jwks(t)
			if len(keys.Keys) != c.published {
				t.Errorf("step %d: %d keys are published, want %d", step, len(keys.Keys), c.published)
			}
			text := get("confd", "X-Auth-Token", alice)
			if changed := kid(text) != kid(confd); changed != (step >= 1) {
				t.Errorf("step %d: signed by %s, at first by %s", step, kid(text), kid(confd))
			}
			if _, err := verifyAssertion(keys, text, "confd", now.now()); err != nil {
				t.Errorf("step %d: %v", step, err)
			}
			if _, err := verifyAssertion(before, text, "confd", now.now()); err != nil {
				t.Errorf("step %d: whoever has not asked for the keys again: %v", step, err)
			}
			if _, err := verifyAssertion(keys, confd, "confd", now.now()); (err == nil) != c.old {
				t.Errorf("step %d: what the first key signed: %v", step, err)
			}
		}
	})
	// A key that cannot be used is no configuration, and tells nothing of it.
	bad := filepath.Join(dir, "bad.pem")
	write(t, bad, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0LWtleS05OTk=\n-----END PRIVATE KEY-----\n")
	err := s.node.load(fmt.Sprintf("assertion {\n key %s\n}", bad), "http://:<port> {\n respond ok\n}")
	if err == nil || strings.Contains(err.Error(), "c2VjcmV0") || strings.Contains(err.Error(), "secret-key") {
		t.Errorf("a bad key: %v", err)
	}
}
