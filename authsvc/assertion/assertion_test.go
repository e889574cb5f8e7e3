package assertion_test

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/assertion"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

func TestSigner_Sign(t *testing.T) {
	t.Parallel()
	internal := func(f *grant.Fields) {
		f.AuthID, f.PBXUserUUID, f.UserTenant, f.Metadata = grant.InternalAuthID, "", "", "{}"
	}
	for _, c := range []struct {
		name             string
		cfg              assertion.Config
		edit             func(*grant.Fields)
		audience, tenant string
		iss, sub         string
		lasts            int64
		rest             string // of the payload
	}{
		{
			"a person in his own tenant", assertion.Config{}, nil, "confd", "", "xivo-auth", someUser, 30,
			`,"tenant_uuid":"` + someTenant + `","session_uuid":"` + someSession + `","purpose":"user"}`,
		},
		{
			"in one below", assertion.Config{}, nil, "confd", otherTenant, "xivo-auth", someUser, 30,
			`,"tenant_uuid":"` + otherTenant + `","session_uuid":"` + someSession + `","purpose":"user"}`,
		},
		{
			"another issuer and lifetime", assertion.Config{Issuer: "https://edge.example", Lifetime: time.Minute}, nil, "calld", "", "https://edge.example", someUser, 60,
			`,"tenant_uuid":"` + someTenant + `","session_uuid":"` + someSession + `","purpose":"user"}`,
		},
		{
			"the service itself", assertion.Config{}, internal, "confd", "", "xivo-auth", "wazo-auth", 30,
			`,"session_uuid":"` + someSession + `"}`,
		},
		{
			"the service itself in a tenant", assertion.Config{Lifetime: 2 * time.Second}, internal, "confd", otherTenant, "xivo-auth", "wazo-auth", 2,
			`,"tenant_uuid":"` + otherTenant + `","session_uuid":"` + someSession + `"}`,
		},
		{
			"a user who is gone", assertion.Config{}, func(f *grant.Fields) { f.UserTenant = "" }, "confd", "", "xivo-auth", someUser, 30,
			`,"tenant_uuid":"` + someTenant + `","session_uuid":"` + someSession + `","purpose":"user"}`,
		},
		{
			"a token that ends first", assertion.Config{}, func(f *grant.Fields) { f.ExpiresAt = start + 7 }, "confd", "", "xivo-auth", someUser, 7,
			`,"tenant_uuid":"` + someTenant + `","session_uuid":"` + someSession + `","purpose":"user"}`,
		},
		{
			"a tenant that would break out", assertion.Config{}, internal, "confd", `","sub":"root`, "xivo-auth", "wazo-auth", 30,
			`,"tenant_uuid":"\",\"sub\":\"root","session_uuid":"` + someSession + `"}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, clock := newSigner(t, c.cfg)
			clock.set(999 * time.Millisecond) // iat is the second that has begun
			text := sign(t, s, newGrant(c.edit), c.audience, c.tenant)
			header, payload := read(t, text)
			if want := `{"alg":"EdDSA","kid":"` + kid(t, s) + `","typ":"JWT"}`; header != want {
				t.Errorf("header %s, want %s", header, want)
			}
			want := fmt.Sprintf(`{"iss":%q,"aud":%q,"sub":%q,"iat":%d,"nbf":%[4]d,"exp":%d,"ath":%q`, c.iss, c.audience, c.sub, start, start+c.lasts, ath(someToken)) + c.rest
			if payload != want {
				t.Errorf("payload %s\nwant    %s", payload, want)
			}
			if c.cfg.Issuer == "" {
				if _, err := verify(text, s.JWKS(), c.audience, someToken, clock.Now()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestSigner_Sign_Refused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name             string
		after            time.Duration
		edit             func(*grant.Fields)
		audience, tenant string
		ended            bool
	}{
		{"no audience", 0, nil, "", "", false},
		{"the token's last instant", 7200 * time.Second, nil, "confd", "", true},
		{"a token that has ended", 7201 * time.Second, nil, "confd", "", true},
		{"an audience that is not UTF-8", 0, nil, "\xff", "", false},
		{"a tenant that is not", 0, nil, "confd", "\xff", false},
		{"an auth id that is not", 0, func(f *grant.Fields) { f.AuthID = "\xff" }, "confd", "", false},
		{"a session that is not", 0, func(f *grant.Fields) { f.SessionUUID = "\xff" }, "confd", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, clock := newSigner(t, assertion.Config{})
			clock.set(c.after)
			for range 2 {
				text, err := s.Sign(newGrant(c.edit), c.audience, c.tenant)
				if text != "" || err == nil || errors.Is(err, grant.ErrUnknown) != c.ended {
					t.Errorf("%q, %v", text, err)
				}
			}
		})
	}
}

// An assertion is reused for half its lifetime and no longer, and only while
// the other half of it is left.
func TestSigner_Reuse(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, c := range []struct {
		name     string
		lifetime time.Duration
		ends     int64 // of the token, seconds after start
		at, then time.Duration
		reused   bool
	}{
		{"soon", 0, 7200, 0, time.Second, true},
		{"after half its lifetime", 0, 7200, 0, 15000 * ms, true},
		{"later", 0, 7200, 0, 15000*ms + 1, false},
		{"half of what a minute is", time.Minute, 7200, 0, 30000 * ms, true},
		{"later than that", time.Minute, 7200, 0, 30000*ms + 1, false},
		{"half of two seconds", 2 * time.Second, 7200, 0, 1000 * ms, true},
		{"later than one second", 2 * time.Second, 7200, 0, 1000*ms + 1, false},
		{"signed late in its second", 0, 7200, 900 * ms, 15000 * ms, true},
		{"so that its half is over sooner", 0, 7200, 900 * ms, 15001 * ms, false},
		{"the token ends first, half is left", 0, 20, 0, 5000 * ms, true},
		{"the token ends first, less than half is left", 0, 20, 0, 5001 * ms, false},
		{"the token ends within half the lifetime", 0, 10, 0, time.Second, false},
		{"the clock was set back", 0, 7200, 5000 * ms, 4999 * ms, false},
		{"the clock was set back far", 0, 7200, 5000 * ms, -time.Hour, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			lifetime := cmp.Or(c.lifetime, assertion.DefaultLifetime)
			s, clock := newSigner(t, assertion.Config{Lifetime: c.lifetime})
			g := newGrant(func(f *grant.Fields) { f.ExpiresAt = start + c.ends })
			clock.set(c.at)
			first := times(t, sign(t, s, g, "confd", ""))
			// What was reused shows in its times: two signed within one
			// second are the same text, as EdDSA has no randomness.
			clock.set(c.then)
			second := times(t, sign(t, s, g, "confd", ""))
			if (second == first) != c.reused {
				t.Errorf("%+v, then %+v; reused is to be %v", first, second, c.reused)
			}
			if left := time.Unix(second.EXP, 0).Sub(clock.Now()); second.IAT > clock.Now().Unix() || second.NBF != second.IAT ||
				second.EXP > start+c.ends || left > lifetime || c.reused && left < lifetime/2 {
				t.Errorf("%+v at %v: %v left", second, clock.Now().Unix(), left)
			}
		})
	}
}

// TestSec_C1: what is reused is never that of another service, tenant or
// token, nor that of a user who was moved to another tenant since.
func TestSec_C1(t *testing.T) {
	t.Parallel()
	s, clock := newSigner(t, assertion.Config{})
	mine := newGrant(nil)
	others := newGrant(func(f *grant.Fields) { f.Token, f.AuthID = uuid.MustParse(otherToken), otherTenant })
	moved := newGrant(func(f *grant.Fields) { f.UserTenant = otherTenant })
	type request struct {
		g                *grant.Grant
		audience, tenant string
		token, actsIn    string // what it must tell
	}
	requests := []request{
		{mine, "confd", "", someToken, someTenant},
		{mine, "confd", otherTenant, someToken, otherTenant},
		{mine, "calld", "", someToken, someTenant},
		{mine, "calld", otherTenant, someToken, otherTenant},
		{others, "confd", "", otherToken, someTenant},
		{others, "calld", otherTenant, otherToken, otherTenant},
		{moved, "confd", "", someToken, otherTenant},
		// The parts of a key must not run into each other.
		{mine, "confd" + otherTenant, "main", someToken, "main"},
		{mine, "confd", otherTenant + "main", someToken, otherTenant + "main"},
		{mine, "con", "fd", someToken, "fd"},
		{mine, "conf", "d", someToken, "d"},
	}
	for range 3 {
		for _, r := range requests {
			id, err := verify(sign(t, s, r.g, r.audience, r.tenant), s.JWKS(), r.audience, r.token, clock.Now())
			if err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
			if id.Subject != r.g.AuthID() || len(id.Audience) != 1 || id.Audience[0] != r.audience || id.Tenant != r.actsIn {
				t.Errorf("%+v was told %+v", r, id)
			}
		}
	}
	// The tenant of who names none is his own: one assertion, however asked.
	if sign(t, s, mine, "confd", "") != sign(t, s, mine, "confd", someTenant) {
		t.Error("the same was signed twice")
	}
}

// A tenant as long as a header may be is told, and not kept.
func TestSigner_LongTenant(t *testing.T) {
	t.Parallel()
	s, clock := newSigner(t, assertion.Config{})
	g := newGrant(nil)
	long := strings.Repeat("x", 100_000)
	first := times(t, sign(t, s, g, "confd", long))
	clock.set(time.Second)
	if second := times(t, sign(t, s, g, "confd", long)); second == first {
		t.Error("it was kept")
	}
}

func TestSigner_Concurrent(t *testing.T) {
	t.Parallel()
	s, clock := newSigner(t, assertion.Config{})
	grants := make([]*grant.Grant, 20)
	for i := range grants {
		grants[i] = newGrant(func(f *grant.Fields) { f.Token[15] = byte(i) })
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 150 {
				clock.set(time.Duration(i) * time.Second / 4)
				g, service := grants[(i+worker)%len(grants)], "service-"+strconv.Itoa(i%3)
				text, err := s.Sign(g, service, "")
				if err != nil {
					t.Error(err)
					return
				}
				// Others set the clock, too: all of it is one assertion's lifetime.
				if _, err := verify(text, s.JWKS(), service, g.Token().String(), time.Unix(times(t, text).IAT, 0)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestRoute(t *testing.T) {
	t.Parallel()
	one, _ := newSigner(t, assertion.Config{})
	two, _ := newSigner(t, assertion.Config{Keys: [][]byte{newKey(t), newKey(t)}})
	current := one
	route := assertion.Route(func() *assertion.Signer { return current })
	for _, s := range []*assertion.Signer{one, two, one} {
		current = s
		w := httptest.NewRecorder()
		err := route.Handle(w, httptest.NewRequest(http.MethodGet, "/0.1/jwks.json", nil))
		h, want := w.Header(), string(s.JWKS())+"\n"
		if err != nil || w.Code != http.StatusOK || w.Body.String() != want || h.Get("Content-Length") != strconv.Itoa(len(want)) ||
			h.Get("Content-Type") != "application/jwk-set+json" || h.Get("Cache-Control") != "public, max-age=300" {
			t.Errorf("%d %v %s, %v", w.Code, h, w.Body, err)
		}
	}
	if route.Method != http.MethodGet || route.Path != "/0.1/jwks.json" || route.ACL != "" {
		t.Errorf("%+v", route)
	}
}
