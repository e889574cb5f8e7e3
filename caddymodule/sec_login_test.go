package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/backends"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// counting is wazo_user with a checker that counts the hashes it is asked for
// and computes none.
type counting struct{}

var hashes atomic.Int64

func (*counting) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "xivo_auth.backends.counting", New: func() caddy.Module { return new(counting) }}
}

func (*counting) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

func (*counting) MakeBackend(s *authsvc.Service) backends.Backend {
	return &backends.WazoUser{Users: s.Store, Checker: countingChecker{}}
}

type countingChecker struct{}

// Check is right about everybody in the world. That the real one computes a
// hash whether or not there is one to compare is a test of package password.
func (countingChecker) Check(_ context.Context, pass, hash string, _ []byte) (bool, error) {
	hashes.Add(1)
	return hash != "" && pass == alicePassword, nil
}

func (countingChecker) Full(context.Context) bool { return false }

func init() { caddy.RegisterModule(&counting{}) }

// login asks the API for a token, from an address that a trusted proxy tells.
func (s *seams) logIn(t testing.TB, user, pass, addr string) reply {
	t.Helper()
	return s.bytesTo(t, s.port, "POST", head("POST", "/0.1/token", "api", []string{
		"Authorization", basic(user, pass), "X-Forwarded-For", addr, "Content-Type", "application/json", "Content-Length", "2",
	})+"\r\n{}")
}

var timestamp = regexp.MustCompile(`"timestamp": [^,}]*|\d\d:\d\d:\d\d(\.\d+)?`)

// T1: the time an answer took told which users exist (Authelia #949). Hashes
// are what takes time, and they are counted.
func TestSec_T1(t *testing.T) {
	s := newSeams(t, sec{app: "backend counting", servers: "trusted_proxies static 127.0.0.1/32", trusted: "none"})
	st := openDB(t, s.db)
	alice, err := st.CredentialsByLogin(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []store.NewUser{
		{User: store.User{Username: "disabled", Purpose: "user", Method: store.MethodNative}},
		{User: store.User{Username: "elsewhere", Enabled: true, Purpose: "user", Method: "ldap"}, Email: "elsewhere@example.org"},
		{User: store.User{Username: "saml", Enabled: true, Purpose: "user", Method: "saml"}},
	} {
		u.PasswordHash, u.PasswordSalt = alice.PasswordHash, alice.PasswordSalt
		if _, err := st.CreateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	var first string
	for i, c := range []struct{ name, user, pass string }{
		{"wrong password", "alice", "wrong"},
		{"unknown login", "nobody", "wrong"},
		{"unknown login, a password that is somebody's", "nobody", alicePassword},
		{"disabled user", "disabled", "wrong"},
		{"disabled user, right password", "disabled", alicePassword},
		{"no password of his own", "bob", "wrong"},
		{"who logs in elsewhere", "elsewhere", "wrong"},
		{"who logs in elsewhere, right password", "elsewhere", alicePassword},
		{"by an address", "elsewhere@example.org", alicePassword},
		{"SAML", "saml", alicePassword},
		{"a long login", strings.Repeat("x", 200), "wrong"},
		{"a strange login", "a'; drop table--\u0000\u202e", "wrong"},
		{"a password like a hash", "alice", alice.PasswordHash},
		{"another case", "ALICE", "wrong"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := hashes.Load()
			r := s.logIn(t, c.user, c.pass, fmt.Sprintf("198.51.100.%d", i))
			if n := hashes.Load() - before; n != 1 {
				t.Errorf("%d hashes, want 1", n)
			}
			// The answer does not tell either.
			header := r.header.Clone()
			header.Del("Date")
			header.Del("Content-Length") // of the timestamp's digits
			told := timestamp.ReplaceAllString(fmt.Sprint(r.status, header, r.body), "T")
			if first == "" {
				first = told
			}
			if told != first || r.status != http.StatusUnauthorized {
				t.Errorf("told apart from others:\n%s\n%s", told, first)
			}
		})
	}
	before := hashes.Load()
	if r := s.logIn(t, "alice", alicePassword, "198.51.100.99"); r.status != http.StatusOK || hashes.Load() != before+1 {
		t.Errorf("alice herself: %d %s", r.status, r.body)
	}
	// Gates never hash.
	s.both(t, func(t *testing.T, s side) {
		before := hashes.Load()
		for _, user := range []string{"alice", "nobody"} {
			if r := s.judge(t, "demo", "GET", "/users", "Authorization", basic(user, alicePassword)); r.status == http.StatusOK {
				t.Errorf("a password is a token: %d", r.status)
			}
		}
		if n := hashes.Load() - before; n != 0 {
			t.Errorf("%d hashes", n)
		}
	})
}

// T2: whoever knew a login could lock its user out by failing often enough
// (Authelia #415).
func TestSec_T2(t *testing.T) {
	s := newSeams(t, sec{servers: "trusted_proxies static 127.0.0.1/32", trusted: "none"})
	const attacker, home = "198.51.100.1", "203.0.113.1"
	token := tokenOf(t, s.logIn(t, "alice", alicePassword, home).body)
	want := func(what string, r reply, status int) {
		t.Helper()
		if r.status != status {
			t.Errorf("%s: %d %s, want %d", what, r.status, r.body, status)
		}
	}
	for i := range 10 {
		want(fmt.Sprint("guess ", i), s.logIn(t, "alice", "wrong", attacker), http.StatusUnauthorized)
	}
	r := s.logIn(t, "alice", "wrong", attacker)
	want("guess 10", r, http.StatusTooManyRequests)
	if r.header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After: %v", r.header)
	}
	want("the right password, after all the guesses", s.logIn(t, "alice", alicePassword, attacker), http.StatusTooManyRequests)
	want("in another case", s.logIn(t, "ALICE", "wrong", attacker), http.StatusTooManyRequests)
	want("alice, at home", s.logIn(t, "alice", alicePassword, home), http.StatusOK)
	want("alice, elsewhere", s.logIn(t, "alice", alicePassword, "203.0.113.2"), http.StatusOK)
	want("somebody else at the same address", s.logIn(t, "bob", alicePassword, attacker), http.StatusOK)
	// From very many addresses, too: none of them is alice's.
	for i := range 250 {
		want("spread", s.logIn(t, "alice", "wrong", fmt.Sprintf("192.0.2.%d", i)), http.StatusUnauthorized)
	}
	want("alice, at home, after the spread", s.logIn(t, "alice", alicePassword, home), http.StatusOK)
	// Many logins from one address stop the address, and no other.
	for i := range 100 {
		s.logIn(t, fmt.Sprintf("user%d", i), "wrong", attacker)
	}
	want("the address", s.logIn(t, "never-tried", "wrong", attacker), http.StatusTooManyRequests)
	want("alice, at home, after it all", s.logIn(t, "alice", alicePassword, home), http.StatusOK)
	// Whoever has a token is not asked for a password anywhere.
	s.load(t, sec{service: "service demo {\n route GET /mine token\n}"})
	s.both(t, func(t *testing.T, s side) {
		s.wantAllowed(t, "alice's token", s.judge(t, "demo", "GET", "/mine", "X-Auth-Token", token, "X-Forwarded-For", attacker))
	})
}

// R1: a redirect of ours led elsewhere (Authelia GHSA-36f2-fcrx-fp4j). The API
// has one kind of it, which merges slashes; the gates have none.
func TestSec_R1(t *testing.T) {
	s := newSeams(t, sec{})
	good := s.mint(s.alice, "#")
	targets := []string{
		"//evil.example", "//evil.example/", "//evil.example/0.1/token", "///evil.example/0.1", "////evil.example//", "/0.1//token", "//0.1//token//", "/0.1/token//", "//", "///", "/\\evil.example//x", "/\\/evil.example//", "//\\evil.example",
		"/%2F/evil.example//x", "/%5Cevil.example//x", "//%2Fevil.example", "/.//evil.example", "/..//evil.example", "//../evil.example", "//evil.example/..", "//evil.example?x=//y", "//x?next=https://evil.example", "/0.1//token?redirect=//evil.example",
		"//user@evil.example/", "//evil.example:80/", "//[::1]//", "/https:////evil.example", "/http://evil.example", "//javascript:alert(1)//", "/%0d%0aLocation:%20https://evil.example//x", "//%0d%0aSet-Cookie:a=b", "//%09/evil.example", "//\u00e9vil.example//", "/0.1//users//me", "//;evil.example//",
		"http://api//evil.example/x", "http://evil.example//x//y",
	}
	header := []string{"X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https", "X-Forwarded-Prefix", "//evil.example", "X-Script-Name", "//evil.example", "Referer", "https://evil.example/", "Origin", "https://evil.example", "X-Original-Url", "//evil.example"}
	redirects := 0
	for _, target := range targets {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			for _, host := range []string{"api", "api:80"} {
				r := s.bytesTo(t, s.port, method, head(method, target, host, append(header, "Content-Length", "0"))+"\r\n")
				list := r.header["Location"]
				if len(list) == 0 {
					if r.status/100 == 3 {
						t.Errorf("%q: %d without a Location", target, r.status)
					}
					continue
				}
				redirects++
				location := list[0]
				base := &url.URL{Scheme: "http", Host: "api", Path: "/"}
				// Browsers take a backslash for a slash, and drop tabs and ends
				// of lines.
				seen := strings.NewReplacer("\\", "/", "\t", "", "\n", "", "\r", "").Replace(location)
				to, err := base.Parse(seen)
				if err != nil || len(list) != 1 || to.Host != "api" || to.Scheme != "http" || !strings.HasPrefix(seen, "/") || strings.HasPrefix(seen, "//") {
					t.Errorf("%s %q leads to %q: %v %v", method, target, list, to, err)
				}
			}
		}
	}
	s.both(t, func(t *testing.T, s side) {
		for _, target := range targets {
			if strings.HasPrefix(target, "http:") {
				continue // leads to the API
			}
			for _, token := range [][]string{nil, {"X-Auth-Token", good}} {
				for name, r := range map[string]reply{"judged": s.judge(t, "demo", "GET", target, append(token, header...)...), "sent": s.send(t, "demo", "GET", target, append(token, header...)...)} {
					if r.header.Get("Location") != "" || r.status/100 != 4 {
						t.Errorf("%s: %q is answered %d %q", name, target, r.status, r.header.Get("Location"))
					}
				}
			}
			s.raw.untouched(t)
		}
	})
	if redirects < len(targets) {
		t.Errorf("only %d redirects: there is little to look at", redirects)
	}
}
