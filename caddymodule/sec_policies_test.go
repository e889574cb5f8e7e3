package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// api sends a request to the API of a Caddy.
func (s *seams) api(t testing.TB, token, method, target, body string) reply {
	t.Helper()
	return s.bytesTo(t, s.port, method, head(method, target, "api", []string{
		"X-Auth-Token", token, "Content-Type", "application/json", "Content-Length", strconv.Itoa(len(body)),
	})+"\r\n"+body)
}

// made makes something with the API and returns its uuid.
func (s *seams) made(t testing.TB, token, target, body string) string {
	t.Helper()
	r := s.api(t, token, "POST", target, body)
	var is struct{ UUID string }
	if err := json.Unmarshal([]byte(r.body), &is); err != nil || r.status != http.StatusOK {
		t.Fatalf("POST %s %s: %d %s", target, body, r.status, r.body)
	}
	return is.UUID
}

func (s *seams) done(t testing.TB, token, method, target string) {
	t.Helper()
	if r := s.api(t, token, method, target, ""); r.status != http.StatusNoContent {
		t.Fatalf("%s %s: %d %s", method, target, r.status, r.body)
	}
}

// E1: whoever may hold some accesses gave himself, or a policy he is in, more
// (Keystone OSSA-2026-015). Bob administers the tenant below, without holding
// everything, and tries to get more, to shake off a restriction, or to restrict
// those above him.
func TestSec_E1(t *testing.T) {
	s := newSeams(t, sec{})
	st := openDB(t, s.db)
	root, ofBelow := s.mint(s.people.admin, "#"), s.mint(s.bob, "#")
	group := s.made(t, ofBelow, "/0.1/groups", `{"name": "bobs"}`)
	s.done(t, ofBelow, "PUT", "/0.1/groups/"+group+"/users/"+s.bob.UUID)
	policy := func(token, name, acl, more string) string {
		return s.made(t, token, "/0.1/policies", fmt.Sprintf(`{"name": %q, "acl": [%s]%s}`, name, acl, more))
	}
	// What there is: his own policy and a restriction, both of his tenant, a
	// strong one there that he does not have, one that the top tenant shares,
	// and one that is its own.
	weak := policy(ofBelow, "weak", `"demo.users.read"`, "")
	restricting := policy(ofBelow, "restricting", `"!demo.export.read"`, "")
	strong := policy(ofBelow, "strong", `"demo.users.read", "demo.export.read"`, "")
	shared := policy(root, "shared", `"demo.users.read"`, `, "shared": true`)
	top := policy(root, "top", `"demo.users.read"`, "")
	for _, held := range []string{weak, restricting, shared} {
		s.done(t, root, "PUT", "/0.1/users/"+s.bob.UUID+"/policies/"+held)
	}
	s.done(t, root, "PUT", "/0.1/users/"+s.alice.UUID+"/policies/"+shared)

	bob := s.mint(s.bob, "auth.#", "demo.users.*", "!demo.export.read")
	nothing := policy(bob, "nothing", `"!#"`, "") // taking away is allowed to anybody
	harmless := policy(bob, "harmless", `"demo.users.create"`, "")

	accesses := func() map[string][]string {
		held := map[string][]string{}
		for _, u := range []store.User{s.people.admin, s.alice, s.bob} {
			list, err := st.UserAccesses(t.Context(), u.UUID, "")
			if err != nil {
				t.Fatal(err)
			}
			held[u.Username] = list
		}
		return held
	}
	before := accesses()
	self, team := "/0.1/users/"+s.bob.UUID+"/policies/", "/0.1/groups/"+group+"/policies/"
	for _, c := range []struct {
		what, method, target, body string
		status                     int
	}{
		{"creating", "POST", "/0.1/policies", `{"name": "x", "acl": ["demo.export.read"]}`, 401},
		{"creating, everything", "POST", "/0.1/policies", `{"name": "x", "acl": ["#"]}`, 401},
		{"creating, wider", "POST", "/0.1/policies", `{"name": "x", "acl": ["demo.users.#"]}`, 401},
		{"creating, among others", "POST", "/0.1/policies", `{"name": "x", "acl": ["demo.users.read", "!x", "demo.*.read"]}`, 401},
		{"creating, by the name of 2017", "POST", "/0.1/policies", `{"name": "x", "acl_templates": ["#"]}`, 401},
		{"creating, in the tenant above", "POST", "/0.1/policies", `{"name": "x", "acl": ["#"], "tenant_uuid": "` + s.people.admin.TenantUUID + `"}`, 401},
		{"replacing", "PUT", "/0.1/policies/" + weak, `{"name": "weak", "acl": ["demo.users.read", "#"]}`, 401},
		{"replacing, by slug", "PUT", "/0.1/policies/weak", `{"name": "weak", "acl": ["demo.export.read"]}`, 401},
		{"replacing, by the name of 2017", "PUT", "/0.1/policies/weak", `{"name": "weak", "acl_templates": ["demo.export.read"]}`, 401},
		{"replacing as it is what he does not hold", "PUT", "/0.1/policies/" + strong, `{"name": "mine", "acl": ["demo.users.read", "demo.export.read"]}`, 401},
		{"extending", "PUT", "/0.1/policies/" + weak + "/acl/demo.export.read", "", 401},
		{"extending, encoded", "PUT", "/0.1/policies/" + weak + "/acl/%23", "", 401},
		{"extending, by slug", "PUT", "/0.1/policies/weak/acl/%23", "", 401},
		{"extending, as in 2017", "PUT", "/0.1/policies/" + weak + "/acl_templates/demo.export.read", "", 401},
		{"linking to himself", "PUT", self + strong, "", 401},
		{"linking to himself, by slug", "PUT", self + "strong", "", 401},
		{"linking to his group", "PUT", team + strong, "", 401},
		{"linking to his group, by slug", "PUT", team + "strong", "", 401},
		{"linking what somebody above may extend", "PUT", self + top, "", 404},
		{"linking what somebody above may extend, to his group", "PUT", team + top, "", 404},
		{"linking what somebody above may extend, by slug", "PUT", self + "top", "", 404},
		{"shaking off", "DELETE", self + restricting, "", 401},
		{"shaking off, by slug", "DELETE", self + "restricting", "", 401},
		{"emptying", "PUT", "/0.1/policies/" + restricting, `{"name": "restricting"}`, 401},
		{"emptying, bit by bit", "DELETE", "/0.1/policies/" + restricting + "/acl/!demo.export.read", "", 401},
		{"deleting", "DELETE", "/0.1/policies/restricting", "", 401},
		{"deleting what he does not hold", "DELETE", "/0.1/policies/" + strong, "", 401},
		{"restricting those above", "PUT", "/0.1/policies/" + shared + "/acl/!%23", "", 403},
		{"restricting those above, by slug", "PUT", "/0.1/policies/shared/acl/!demo.users.read", "", 403},
		{"robbing those above", "DELETE", "/0.1/policies/" + shared + "/acl/demo.users.read", "", 403},
		{"robbing those above, all at once", "PUT", "/0.1/policies/" + shared, `{"name": "shared"}`, 403},
		{"robbing those above of the policy", "DELETE", "/0.1/policies/" + shared, "", 403},
		{"restricting somebody above", "PUT", "/0.1/users/" + s.alice.UUID + "/policies/" + nothing, "", 404},
		{"restricting the administrator", "PUT", "/0.1/users/" + s.people.admin.UUID + "/policies/" + nothing, "", 404},
		{"giving to somebody above", "PUT", "/0.1/users/" + s.alice.UUID + "/policies/" + harmless, "", 404},
		{"robbing somebody above", "DELETE", "/0.1/users/" + s.alice.UUID + "/policies/" + shared, "", 404},
		{"taking the name of what is shared", "POST", "/0.1/policies", `{"name": "shared"}`, 409},
	} {
		if r := s.api(t, bob, c.method, c.target, c.body); r.status != c.status {
			t.Errorf("%s: %d %s, want %d", c.what, r.status, r.body, c.status)
		}
		if after := accesses(); !reflect.DeepEqual(after, before) {
			t.Errorf("%s: changed what is held:\n%v\n%v", c.what, before, after)
			before = after
		}
	}

	// What is his to give he gives, and then it counts.
	s.done(t, bob, "PUT", self+harmless)
	s.done(t, bob, "PUT", team+"harmless")
	next := s.mint(s.bob, accesses()["bob"]...)
	s.both(t, func(t *testing.T, s side) {
		s.wantPassed(t, "what he was given", s.send(t, "demo", "POST", "/users", "X-Auth-Token", next, "Content-Length", "0"))
		s.wantRefused(t, "what he has tried to get", s.send(t, "demo", "GET", "/export", "X-Auth-Token", next), guard.MissingAccess)
	})
}
