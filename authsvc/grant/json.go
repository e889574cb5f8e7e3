package grant

import (
	"encoding/json"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/ascii"
)

// metadata is the part of a token's metadata the service itself reads.
type metadata struct {
	Purpose    string `json:"purpose"`
	TenantUUID string `json:"tenant_uuid"`
}

// readMetadata never fails: a row that another program wrote badly grants its
// ACL all the same, as it does on the reference.
func readMetadata(text string) (md metadata) {
	if text != "" {
		_ = json.Unmarshal([]byte(text), &md)
	}
	return md
}

// Metadata spells the metadata of a token issued to a user, in the key order
// of the contract (token.md §5) and with the separators the reference stores,
// so that rows of both programs are the same text.
func Metadata(userUUID, tenantUUID, pbxUserUUID, xivoUUID, purpose string) string {
	b := make([]byte, 0, 320)
	b = append(b, `{"uuid": `...)
	b = ascii.AppendString(b, userUUID)
	b = append(b, `, "tenant_uuid": `...)
	b = ascii.AppendString(b, tenantUUID)
	b = append(b, `, "auth_id": `...)
	b = ascii.AppendString(b, userUUID)
	b = append(b, `, "pbx_user_uuid": `...)
	b = appendNullable(b, pbxUserUUID)
	b = append(b, `, "xivo_uuid": `...)
	b = appendNullable(b, xivoUUID)
	b = append(b, `, "purpose": `...)
	b = ascii.AppendString(b, purpose)
	return string(append(b, '}'))
}

func (g *Grant) pbxUserUUID() string {
	if g.pbxUser {
		return g.AuthID()
	}
	return g.odd().pbxUser
}

// appendUsualMetadata spells the metadata that the other fields imply.
func (g *Grant) appendUsualMetadata(dst []byte) []byte {
	return append(dst, Metadata(g.AuthID(), g.UserTenant(), g.pbxUserUUID(), g.texts.Value().xivo, g.Purpose())...)
}

// Local and UTC layouts of the contract (token.md §5). Python's isoformat
// leaves the fraction out when it is zero; the UTC form always has it.
const (
	layoutLocal         = "2006-01-02T15:04:05"
	layoutLocalFraction = "2006-01-02T15:04:05.000000"
	layoutUTC           = "2006-01-02T15:04:05.000000"
)

// AppendJSON appends the token data as GET /token answers them: key order of
// token.md §5, times to the second, local ones in loc.
func (g *Grant) AppendJSON(dst []byte, loc *time.Location) []byte {
	return g.appendJSON(dst, loc, time.Unix(g.expires-int64(g.lifetime), 0), time.Unix(g.expires, 0), "")
}

// AppendIssuedJSON appends the token data as POST /token answers them: times
// to the microsecond of issued, and refreshToken unless it is empty.
func (g *Grant) AppendIssuedJSON(dst []byte, loc *time.Location, issued time.Time, refreshToken string) []byte {
	return g.appendJSON(dst, loc, issued, issued.Add(time.Duration(g.lifetime)*time.Second), refreshToken)
}

func (g *Grant) appendJSON(dst []byte, loc *time.Location, issued, expires time.Time, refreshToken string) []byte {
	authID := g.AuthID()
	dst = append(dst, `{"token":"`...)
	dst = AppendID(dst, g.token)
	dst = append(dst, `","auth_id":`...)
	dst = ascii.AppendString(dst, authID)
	dst = append(dst, `,"xivo_user_uuid":`...)
	dst = appendNullable(dst, g.pbxUserUUID())
	dst = append(dst, `,"xivo_uuid":`...)
	dst = appendNullable(dst, g.texts.Value().xivo)
	dst = append(dst, `,"issued_at":`...)
	dst = appendLocal(dst, issued.In(loc))
	dst = append(dst, `,"expires_at":`...)
	dst = appendLocal(dst, expires.In(loc))
	dst = append(dst, `,"utc_issued_at":"`...)
	dst = issued.UTC().AppendFormat(dst, layoutUTC)
	dst = append(dst, `","utc_expires_at":"`...)
	dst = expires.UTC().AppendFormat(dst, layoutUTC)
	dst = append(dst, `","acl":`...)
	dst = append(dst, g.acl.JSON()...)
	dst = append(dst, `,"metadata":`...)
	dst = g.appendMetadata(dst)
	dst = append(dst, `,"session_uuid":`...)
	dst = ascii.AppendString(dst, g.SessionUUID())
	dst = append(dst, `,"remote_addr":`...)
	dst = ascii.AppendString(dst, g.addr)
	dst = append(dst, `,"user_agent":`...)
	dst = ascii.AppendString(dst, g.texts.Value().agent)
	if refreshToken != "" {
		dst = append(dst, `,"refresh_token":`...)
		dst = ascii.AppendString(dst, refreshToken)
	}
	return append(dst, '}')
}

func (g *Grant) appendMetadata(dst []byte) []byte {
	switch r := g.rare; {
	case r == nil || !r.oddMetadata:
		return g.appendUsualMetadata(dst)
	case json.Valid([]byte(r.metadata)):
		return append(dst, r.metadata...)
	default: // null, or a row nobody could read
		return append(dst, "{}"...)
	}
}

func appendLocal(dst []byte, t time.Time) []byte {
	layout := layoutLocalFraction
	if t.Nanosecond()/1000 == 0 {
		layout = layoutLocal
	}
	dst = append(dst, '"')
	dst = t.AppendFormat(dst, layout)
	return append(dst, '"')
}

func appendNullable(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return ascii.AppendString(dst, s)
}
