package caddymodule

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
)

// C1: a verdict was cached under a key that left out the issuer, the scope or
// the tenant, and served for another (Oathkeeper GHSA-4mq7-pvjg-xp2r, heimdall
// #3454). What is cached here is the token, and every request is judged.
func TestSec_C1(t *testing.T) {
	s := newSeams(t, sec{
		service: "service one {\n route GET /x one.read\n route GET /both both.read\n}\nservice two {\n route GET /x two.read\n route GET /both both.read\n}",
		gates:   []gateSpec{{host: "one", args: "one"}, {host: "two", args: "two"}, {host: "scope-one", options: "scope one.read"}, {host: "scope-two", options: "scope two.read"}},
	})
	first, second := s.mint(s.bob, "one.read", "both.read"), s.mint(s.alice, "two.read", "both.read")
	above := s.alice.TenantUUID
	s.both(t, func(t *testing.T, s side) {
		cases := []struct {
			host, target, token, tenant string
			reason                      guard.Reason // "" passes
			as                          string
		}{
			// One token, two services and two scopes.
			{"one", "/x", first, "", "", s.bob.UUID + s.below},
			{"two", "/x", first, "", guard.MissingAccess, ""},
			{"scope-one", "/x", first, "", "", s.bob.UUID + s.below},
			{"scope-two", "/x", first, "", guard.MissingAccess, ""},
			// Two tokens, one request.
			{"one", "/x", second, "", guard.MissingAccess, ""},
			{"two", "/x", second, "", "", s.alice.UUID + above},
			{"scope-two", "/x", second, "", "", s.alice.UUID + above},
			// One token, several tenants: bob's is below alice's.
			{"one", "/both", first, s.below, "", s.bob.UUID + s.below},
			{"one", "/both", first, above, guard.WrongTenant, ""},
			{"one", "/both", first, uuid.Nil.String(), guard.WrongTenant, ""},
			{"one", "/both", second, above, "", s.alice.UUID + above},
			{"one", "/both", second, s.below, "", s.alice.UUID + s.below},
			{"two", "/both", second, "", "", s.alice.UUID + above},
			{"one", "/both", "", above, guard.NoToken, ""},
			{"one", "/both", uuid.NewString(), "", guard.UnknownToken, ""},
		}
		// In every order: whichever comes first must not answer for others.
		var all sync.WaitGroup
		for worker := range 4 {
			all.Go(func() {
				for i := range 3 * len(cases) {
					c := cases[(i*(2*worker+1)+worker)%len(cases)]
					var header []string
					if c.token != "" {
						header = append(header, "X-Auth-Token", c.token)
					}
					if c.tenant != "" {
						header = append(header, "Wazo-Tenant", c.tenant)
					}
					r := s.send(t, c.host, "GET", c.target, header...)
					what := fmt.Sprintf("%s%s in %q: %d %s", c.host, c.target, c.tenant, r.status, r.header.Get(headerReason))
					if c.reason != "" {
						if r.status != s.status(c.reason) || r.header.Get(headerReason) != string(c.reason) {
							t.Errorf("%s, want %s", what, c.reason)
						}
						continue
					}
					if r.status != http.StatusOK {
						t.Errorf("%s, want 200", what)
					}
				}
			})
		}
		all.Wait()
		for len(s.raw.got) > 0 {
			<-s.raw.got
		}
		// And nobody is taken for another.
		for _, c := range cases {
			if c.reason != "" {
				continue
			}
			header := []string{"X-Auth-Token", c.token}
			if c.tenant != "" {
				header = append(header, "Wazo-Tenant", c.tenant)
			}
			got := s.wantPassed(t, c.host, s.send(t, c.host, "GET", c.target, header...))
			if as := strings.Join(append(headerValues(got, headerUser), headerValues(got, headerTenant)...), ""); as != c.as {
				t.Errorf("%s%s in %q is done as %s, want %s", c.host, c.target, c.tenant, as, c.as)
			}
		}
	})
}

// spellings are other ways to write a token that somebody might take for it.
func spellings(token string) map[string]string {
	id := uuid.MustParse(token)
	return map[string]string{
		"upper case":         strings.ToUpper(token),
		"one letter":         strings.Replace(token, token[35:], strings.ToUpper(token[35:]), 1),
		"undashed":           strings.ReplaceAll(token, "-", ""),
		"in braces":          "{" + token + "}",
		"undashed in braces": "{" + strings.ReplaceAll(token, "-", "") + "}",
		"urn":                "urn:uuid:" + token,
		"URN":                "URN:UUID:" + strings.ToUpper(token),
		"quoted":             "'" + token + "'",
		"other dashes":       token[:9] + token[9:13] + token[14:18] + "--" + token[19:],
		"underscores":        strings.ReplaceAll(token, "-", "_"),
		"dashes that are none": strings.ReplaceAll(token, "-",
			"\u2010"),
		"wide digits":      strings.Map(wide, token),
		"spaces within":    token[:18] + " " + token[18:],
		"a space for dash": strings.ReplaceAll(token, "-", " "),
		"something behind": token + "x",
		"a comma behind":   token + ",",
		"a dot behind":     token + ".",
		"zeros before":     "0" + token,
		"percent-encoded":  strings.ReplaceAll(token, "-", "%2D"),
		"bytes":            string(id[:4]) + token[8:],
		"half":             token[:18],
		"Bearer":           "Bearer " + token,
		"twice":            token + token,
	}
}

func wide(r rune) rune {
	if '0' <= r && r <= '9' {
		return r - '0' + '\uff10'
	}
	return r
}

// C2: another spelling of a revoked token was good still: the list of revoked
// ones held the first (Keystone CVE-2015-7546). One spelling is a token.
func TestSec_C2(t *testing.T) {
	s := newSeams(t, sec{gates: []gateSpec{{host: "demo", args: "demo", options: "cookie tok"}}})
	s.both(t, func(t *testing.T, s side) {
		token := s.mint(s.alice, "demo.#")
		ways := map[string]func(spelling string) reply{
			"header": func(spelling string) reply {
				return s.judge(t, "demo", "GET", "/users", "X-Auth-Token", strings.NewReplacer("\r", "", "\n", "").Replace(spelling))
			},
			"cookie": func(spelling string) reply {
				return s.judge(t, "demo", "GET", "/users", "Cookie", "tok="+strings.NewReplacer("\r", "", "\n", "", ";", "").Replace(spelling))
			},
			"query": func(spelling string) reply {
				return s.judge(t, "demo", "GET", "/export?token="+url.QueryEscape(spelling))
			},
		}
		check := func(state string) {
			for name, spelling := range spellings(token) {
				if spelling == token {
					continue // a digit has no upper case
				}
				for way, ask := range ways {
					r := ask(spelling)
					// net/http drops a cookie that is none, and refuses a
					// header with control characters.
					if way == "cookie" && r.header.Get(headerReason) == string(guard.NoToken) || way != "query" && r.status == http.StatusBadRequest {
						s.raw.untouched(t)
						continue
					}
					s.wantRefused(t, state+", "+way+", "+name, r, guard.UnknownToken)
				}
			}
		}
		for way, ask := range ways {
			s.wantAllowed(t, way, ask(token))
		}
		check("valid")
		// Space around a header's value is no part of it (RFC 9110 §5.5).
		around := []string{" " + token, token + " ", "\t" + token + "\t ", "   " + token}
		for _, spelling := range around {
			s.wantAllowed(t, "space around", ways["header"](spelling))
		}
		if r := s.bytesTo(t, s.port, "DELETE", head("DELETE", "/0.1/token/"+token, "api", nil)+"\r\n"); r.status != http.StatusOK {
			t.Fatalf("DELETE: %d %s", r.status, r.body)
		}
		check("revoked")
		for way, ask := range ways {
			s.wantRefused(t, "revoked, "+way, ask(token), guard.UnknownToken)
		}
		for _, spelling := range around {
			s.wantRefused(t, "revoked, space around", ways["header"](spelling), guard.UnknownToken)
		}
		// The API's path folds case, as the contract has it (token.md): what
		// it revokes so is revoked. No other spelling revokes anything.
		for name := range spellings(token) {
			other := s.mint(s.alice, "demo.#")
			spelling := spellings(other)[name]
			s.wantAllowed(t, name, ways["header"](other))
			r := s.bytesTo(t, s.port, "DELETE", head("DELETE", "/0.1/token/"+url.PathEscape(spelling), "api", nil)+"\r\n")
			if r.status == http.StatusOK && strings.EqualFold(spelling, other) {
				s.wantRefused(t, name, ways["header"](other), guard.UnknownToken)
				continue
			}
			if r.status < 400 {
				t.Errorf("DELETE of a token, %s: %d %s", name, r.status, r.body)
			}
			s.wantAllowed(t, "DELETE of "+name, ways["header"](other))
		}
	})
}

// A1: a malformed cookie was answered 200 without any identity (authentik
// CVE-2026-25748), and whatever copied headers let it in.
func TestSec_A1(t *testing.T) {
	s := newSeams(t, sec{gates: []gateSpec{{host: "demo", args: "demo", options: "cookie tok"}}})
	good := s.mint(s.alice, "demo.#")
	garbage := []string{
		"x", "0", "null", "None", "undefined", "true", "{}", "[]", "*", "#", "%", "%00", "../..", "'", "\"", "\"\"", "' or '1'='1", "a b", ",", "=", "==", "\\", "{env.HOME}", "{http.auth.user.id}",
		"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "zzzzzzzz-zzzz-zzzz-zzzz-zzzzzzzzzzzz", "-----", "------------------------------------", strings.Repeat("0", 36), strings.Repeat("0", 32),
		"\xff\xfe\xfd", "\xc3\x28", "\xed\xa0\x80", strings.Repeat("\xff", 36), "\u202e" + good, "\ufeff" + good, good[:35], good + "\xff", "wazo-auth", "internal", "Basic " + good,
		strings.Repeat("a", 4<<10), strings.Repeat("\xff", 4<<10), strings.Repeat(good, 100), strings.Repeat("%", 4<<10),
	}
	s.both(t, func(t *testing.T, s side) {
		refused := func(what string, r reply) {
			t.Helper()
			reason := r.header.Get(headerReason)
			if r.status != http.StatusUnauthorized || reason != string(guard.UnknownToken) && reason != string(guard.NoToken) {
				t.Errorf("%.60q: %d %s %s", what, r.status, reason, r.body)
			}
			for _, name := range []string{headerUser, headerID, headerTenant, headerSession} {
				if r.header.Get(name) != "" {
					t.Errorf("%.60q: the refusal tells %s: %s", what, name, r.header.Get(name))
				}
			}
			s.raw.untouched(t)
		}
		for _, value := range garbage {
			for _, target := range []string{"/users", "/mine"} {
				refused(value, s.judge(t, "demo", "GET", target, "X-Auth-Token", value))
				refused("cookie "+value, s.judge(t, "demo", "GET", target, "Cookie", "tok="+value))
				refused("both "+value, s.judge(t, "demo", "GET", target, "Cookie", "tok="+value, "X-Auth-Token", value))
			}
			refused("by a proxy "+value, s.send(t, "demo", "GET", "/users", "X-Auth-Token", value))
			if len(value) < 1<<10 {
				refused("query "+value, s.judge(t, "demo", "GET", "/export?token="+url.QueryEscape(value)))
			}
		}
		for _, cookie := range []string{"", ";", "=", "tok", "tok=", "=tok", "tok==", ";;;tok=x;;", "tok\x00=x", "TOK=" + good, "xtok=" + good, "tok[]=" + good, strings.Repeat("a=b; ", 500)} {
			r := s.judge(t, "demo", "GET", "/users", "Cookie", cookie)
			if strings.Contains(cookie, "\x00") {
				if r.status != http.StatusBadRequest {
					t.Errorf("a NUL in a header: %d", r.status)
				}
				s.raw.untouched(t)
				continue
			}
			refused("cookie "+cookie, r)
		}
		for _, value := range []string{"\x00", good + "\x00", "\x00" + good, good[:8] + "\x00" + good[8:], good + "\x01", good + "\x7f"} {
			if r := s.judge(t, "demo", "GET", "/users", "X-Auth-Token", value); r.status != http.StatusBadRequest {
				t.Errorf("control characters: %d %s", r.status, r.body)
			}
			refused("query", s.judge(t, "demo", "GET", "/export?token="+url.QueryEscape(value)))
			s.raw.untouched(t)
		}
		for size := 16 << 10; size <= 256<<10; size *= 4 {
			if r := s.judge(t, "demo", "GET", "/users", "X-Auth-Token", strings.Repeat("a", size)); r.status != http.StatusUnauthorized && r.status != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("%d bytes: %d", size, r.status)
			}
		}
		s.raw.untouched(t)

		// What is let in by a token has an identity, however it was sent.
		for what, header := range map[string][]string{
			"header": {"X-Auth-Token", good}, "cookie": {"Cookie", "tok=" + good}, "among others": {"Cookie", "=; a; tok=" + good + "; ;b=\"c"},
			"header, and a bad cookie": {"X-Auth-Token", good, "Cookie", "tok=\xff"}, "empty header, and a cookie": {"X-Auth-Token", "", "Cookie", "tok=" + good},
		} {
			for _, target := range []string{"/users", "/mine"} {
				r := s.send(t, "demo", "GET", target, header...)
				if got := s.wantPassed(t, what, r); headerValues(got, headerID) == nil || headerValues(got, headerUser)[0] != s.alice.UUID || headerValues(got, headerSession) == nil {
					t.Errorf("%s: passed without an identity:\n%s", what, got)
				}
				if s.verify {
					r := s.judge(t, "demo", "GET", target, header...)
					if r.status != http.StatusOK || r.header.Get(headerID) != s.alice.UUID || r.header.Get(headerTenant) == "" || r.header.Get(headerSession) == "" {
						t.Errorf("%s: %d %v", what, r.status, r.header)
					}
				}
			}
		}
		// A bad token is not forgotten for a good one elsewhere.
		refused("bad header, good cookie", s.judge(t, "demo", "GET", "/users", "X-Auth-Token", "x", "Cookie", "tok="+good))
	})
}
