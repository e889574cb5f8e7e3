package grant_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

const (
	someUser    = "6f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c"
	someTenant  = "7f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c"
	otherTenant = "8f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c"
	someSession = "c0ffee00-1234-4abc-8def-0123456789ab"
	someStack   = "9f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c"

	issuedAt  = int64(1_700_000_000) // 2023-11-14T22:13:20Z
	expiresAt = issuedAt + 7200
)

// fields are those of an ordinary token of a person, changed by edit.
func fields(edit func(*grant.Fields)) grant.Fields {
	f := grant.Fields{
		Token:       uuid.MustParse(someToken),
		AuthID:      someUser,
		PBXUserUUID: someUser,
		XiVOUUID:    someStack,
		IssuedAt:    issuedAt,
		ExpiresAt:   expiresAt,
		Metadata:    grant.Metadata(someUser, someTenant, someUser, someStack, "user"),
		SessionUUID: someSession,
		UserAgent:   "curl/8",
		RemoteAddr:  "192.0.2.1",
		UserTenant:  someTenant,
		ACL:         acl.Compile([]string{"confd.users.read", "auth.users.me.#"}),
	}
	if edit != nil {
		edit(&f)
	}
	return f
}

func newGrant(edit func(*grant.Fields)) *grant.Grant {
	return grant.New(fields(edit), time.Unix(issuedAt, 0))
}

const usualMetadata = `{"uuid": "` + someUser + `", "tenant_uuid": "` + someTenant + `", "auth_id": "` + someUser +
	`", "pbx_user_uuid": "` + someUser + `", "xivo_uuid": "` + someStack + `", "purpose": "user"}`

func TestGrant_AppendJSON(t *testing.T) {
	t.Parallel()
	east := time.FixedZone("somewhere east", 5*3600+1800)
	const head = `{"token":"` + someToken + `","auth_id":"` + someUser + `","xivo_user_uuid":"` + someUser + `","xivo_uuid":"` + someStack + `"`
	const acls = `"acl":["confd.users.read","auth.users.me.#"]`
	const tail = `,"session_uuid":"` + someSession + `","remote_addr":"192.0.2.1","user_agent":"curl/8"`
	const utc = `"utc_issued_at":"2023-11-14T22:13:20.000000","utc_expires_at":"2023-11-15T00:13:20.000000"`
	const local = `"issued_at":"2023-11-14T22:13:20","expires_at":"2023-11-15T00:13:20"`

	for _, c := range []struct {
		name string
		edit func(*grant.Fields)
		json func(*grant.Grant) []byte
		want string
	}{
		{
			"read, in UTC", nil,
			func(g *grant.Grant) []byte { return g.AppendJSON(nil, time.UTC) },
			head + "," + local + "," + utc + "," + acls + `,"metadata":` + usualMetadata + tail + "}",
		},
		{
			"read, east of UTC", nil,
			func(g *grant.Grant) []byte { return g.AppendJSON(nil, east) },
			head + `,"issued_at":"2023-11-15T03:43:20","expires_at":"2023-11-15T05:43:20",` + utc + "," + acls + `,"metadata":` + usualMetadata + tail + "}",
		},
		{
			"issued, with a fraction and a refresh token", nil,
			func(g *grant.Grant) []byte {
				return g.AppendIssuedJSON(nil, east, time.Unix(issuedAt, 120_000_000), "a\"b")
			},
			head + `,"issued_at":"2023-11-15T03:43:20.120000","expires_at":"2023-11-15T05:43:20.120000"` +
				`,"utc_issued_at":"2023-11-14T22:13:20.120000","utc_expires_at":"2023-11-15T00:13:20.120000",` +
				acls + `,"metadata":` + usualMetadata + tail + `,"refresh_token":"a\"b"}`,
		},
		{
			"issued in a whole second", nil,
			func(g *grant.Grant) []byte {
				return g.AppendIssuedJSON(nil, time.UTC, time.Unix(issuedAt, 0), "")
			},
			head + "," + local + "," + utc + "," + acls + `,"metadata":` + usualMetadata + tail + "}",
		},
		{
			"issued less than a microsecond into it", nil,
			func(g *grant.Grant) []byte {
				return g.AppendIssuedJSON(nil, time.UTC, time.Unix(issuedAt, 999), "")
			},
			head + "," + local + "," + utc + "," + acls + `,"metadata":` + usualMetadata + tail + "}",
		},
		{
			"nulls and empty texts",
			func(f *grant.Fields) {
				*f = grant.Fields{
					Token: f.Token, AuthID: grant.InternalAuthID, IssuedAt: f.IssuedAt, ExpiresAt: f.ExpiresAt,
					SessionUUID: someSession, ACL: acl.Compile(nil),
				}
			},
			func(g *grant.Grant) []byte { return g.AppendJSON([]byte("> "), time.UTC) },
			`> {"token":"` + someToken + `","auth_id":"wazo-auth","xivo_user_uuid":null,"xivo_uuid":null,` + local + "," + utc +
				`,"acl":[],"metadata":{},"session_uuid":"` + someSession + `","remote_addr":"","user_agent":""}`,
		},
		{
			"ids that are none",
			func(f *grant.Fields) {
				f.AuthID, f.PBXUserUUID, f.SessionUUID, f.UserTenant = "Müller", "somebody else", "S1", "T"
				f.XiVOUUID, f.RemoteAddr, f.UserAgent = `x"`, "garbage\x00", "a\\b"
				f.Metadata = `{"purpose":"user"}`
			},
			func(g *grant.Grant) []byte { return g.AppendJSON(nil, time.UTC) },
			`{"token":"` + someToken + `","auth_id":"M\u00fcller","xivo_user_uuid":"somebody else","xivo_uuid":"x\"",` + local + "," + utc + "," +
				acls + `,"metadata":{"purpose":"user"},"session_uuid":"S1","remote_addr":"garbage\u0000","user_agent":"a\\b"}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := string(c.json(newGrant(c.edit)))
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if text := strings.TrimPrefix(got, "> "); !json.Valid([]byte(text)) {
				t.Error("not JSON")
			}
		})
	}
}

// TestGrant_Metadata: what the other fields say again is computed, anything
// else is shown as it was stored, and what is no JSON must not break the
// answer.
func TestGrant_Metadata(t *testing.T) {
	t.Parallel()
	const null = `{"uuid": "` + someUser + `", "tenant_uuid": "` + someTenant + `", "auth_id": "` + someUser +
		`", "pbx_user_uuid": null, "xivo_uuid": null, "purpose": "internal"}`
	for _, c := range []struct {
		name string
		edit func(*grant.Fields)
		want string
		// purpose and tenant are what the service itself reads out of it.
		purpose, tenant string
		kept            bool
	}{
		{"usual", nil, usualMetadata, "user", someTenant, false},
		{"usual of an internal account", func(f *grant.Fields) {
			f.PBXUserUUID, f.XiVOUUID, f.Metadata = "", "", null
		}, null, "internal", someTenant, false},
		{"more keys", func(f *grant.Fields) {
			f.Metadata = usualMetadata[:len(usualMetadata)-1] + `, "admin": true}`
		}, usualMetadata[:len(usualMetadata)-1] + `, "admin": true}`, "user", someTenant, true},
		{"other white space", func(f *grant.Fields) {
			f.Metadata = strings.ReplaceAll(usualMetadata, ": ", ":")
		}, strings.ReplaceAll(usualMetadata, ": ", ":"), "user", someTenant, true},
		{"the user has moved since", func(f *grant.Fields) { f.UserTenant = otherTenant }, usualMetadata, "user", otherTenant, true},
		{"the user is gone", func(f *grant.Fields) { f.UserTenant = "" }, usualMetadata, "user", someTenant, true},
		{"empty object", func(f *grant.Fields) { f.Metadata = "{}" }, "{}", "", someTenant, true},
		{"column is null", func(f *grant.Fields) { f.Metadata = "" }, "{}", "", someTenant, true},
		{"JSON null", func(f *grant.Fields) { f.Metadata = "null" }, "null", "", someTenant, true},
		{"no JSON", func(f *grant.Fields) { f.Metadata = `{"purpose": "user"` }, "{}", "", someTenant, true},
		{"injection", func(f *grant.Fields) { f.Metadata = `{}},{"acl":["#"]` }, "{}", "", someTenant, true},
		{"wrong type of purpose", func(f *grant.Fields) {
			f.Metadata = `{"purpose": 1, "tenant_uuid": "t"}`
		}, `{"purpose": 1, "tenant_uuid": "t"}`, "", someTenant, true},
		{"tenant of an internal token", func(f *grant.Fields) {
			f.AuthID, f.PBXUserUUID, f.UserTenant = grant.InternalAuthID, "", ""
			f.Metadata = `{"tenant_uuid": "` + otherTenant + `"}`
		}, `{"tenant_uuid": "` + otherTenant + `"}`, "", otherTenant, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newGrant(c.edit)
			var data struct {
				Metadata json.RawMessage `json:"metadata"`
			}
			if err := json.Unmarshal(g.AppendJSON(nil, time.UTC), &data); err != nil {
				t.Fatal(err)
			}
			if string(data.Metadata) != c.want {
				t.Errorf("metadata %s\nwant     %s", data.Metadata, c.want)
			}
			if g.Purpose() != c.purpose || g.Tenant() != c.tenant {
				t.Errorf("purpose %q, tenant %q; want %q, %q", g.Purpose(), g.Tenant(), c.purpose, c.tenant)
			}
			plain := newGrant(nil).Size()
			if kept := g.Size() > plain; kept != c.kept {
				t.Errorf("size %d, of an ordinary grant %d: text kept is %v, want %v", g.Size(), plain, kept, c.kept)
			}
		})
	}
}
