package authsvc_test

import (
	"errors"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// notYet are the operations of the reference that are still to come, by the
// beginning of "METHOD /path". An entry that nothing begins with any more is an
// error: this list is what README and docs/compat.md say.
var notYet = []string{
	// External services.
	"DELETE /0.1/external/", "GET /0.1/external/", "POST /0.1/external/", "PUT /0.1/external/",
	"DELETE /0.1/users/{user_uuid}/external", "GET /0.1/users/{user_uuid}/external", "POST /0.1/users/{user_uuid}/external", "PUT /0.1/users/{user_uuid}/external",
	// SAML.
	"GET /0.1/saml/", "POST /0.1/saml/", "GET /0.1/backends/saml", "POST /0.1/backends/saml", "PUT /0.1/backends/saml", "DELETE /0.1/backends/saml",
	// Registration, password reset and the confirmation of addresses, which send mail.
	"POST /0.1/users/register", "GET /0.1/users/password/reset", "POST /0.1/users/password/reset",
	"GET /0.1/users/{user_uuid}/emails/{email_uuid}/confirm", "PUT /0.1/emails/{email_uuid}/confirm", "GET /0.1/emails/{email_uuid}/confirm",
}

// TestContract_Routes: every operation of the reference is served and requires
// the access that the contract says, or stands in the list above.
func TestContract_Routes(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../shared/contract/routes.yml")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the contract is not here: ../shared/contract/routes.yml")
	}
	if err != nil {
		t.Fatal(err)
	}
	dec := yaml.NewDecoder(strings.NewReader(string(raw)))
	var contract struct {
		Routes []struct {
			Method, Path string
			RequiredACL  *string `yaml:"required_acl"`
		}
	}
	for contract.Routes == nil {
		if err := dec.Decode(&contract); err != nil {
			t.Fatal(err)
		}
	}

	svc := unprepared(t)
	served := map[string]string{}
	for _, r := range svc.Routes() {
		served[kinds(r.Method+" "+r.Path)] = placed(r.Path, r.ACL)
	}

	waiting := map[string]bool{}
	for _, c := range contract.Routes {
		op := c.Method + " " + c.Path
		acl, ok := served[kinds(op)]
		later := ""
		for _, prefix := range notYet {
			if strings.HasPrefix(op, prefix) {
				later = prefix
			}
		}
		switch {
		case !ok && later == "":
			t.Errorf("%s is not served", op)
		case ok && later != "":
			t.Errorf("%s is served: take %q off the list", op, later)
		case ok && c.RequiredACL == nil && acl != "":
			t.Errorf("%s requires %s, the contract nothing", op, acl)
		case ok && c.RequiredACL != nil && acl != placed(c.Path, *c.RequiredACL):
			t.Errorf("%s requires %q, the contract %q", op, acl, *c.RequiredACL)
		}
		waiting[later] = true
	}
	for _, prefix := range notYet {
		if !waiting[prefix] {
			t.Errorf("no operation begins with %q", prefix)
		}
	}
	if len(contract.Routes) < 100 {
		t.Errorf("the contract has %d operations only", len(contract.Routes))
	}
}

var parameter = regexp.MustCompile(`\{[^}]+\}`)

// kinds calls parameters by what they are and not by their names: uuids are
// told from other texts.
func kinds(path string) string {
	return parameter.ReplaceAllStringFunc(path, func(p string) string {
		if strings.HasSuffix(p, "uuid}") {
			return "{uuid}"
		}
		return "{text}"
	})
}

// placed calls the parameters of an access by their place in the path.
func placed(path, acl string) string {
	for i, p := range parameter.FindAllString(path, -1) {
		acl = strings.ReplaceAll(acl, p, "{"+string(rune('a'+i))+"}")
	}
	return acl
}
