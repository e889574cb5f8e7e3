package tokens

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// refreshToken is one on the wire. Its uuid is the secret: it is never shown.
type refreshToken struct {
	ClientID   string          `json:"client_id"`
	CreatedAt  string          `json:"created_at"`
	Mobile     bool            `json:"mobile"`
	UserUUID   string          `json:"user_uuid"`
	TenantUUID string          `json:"tenant_uuid"`
	Metadata   json.RawMessage `json:"metadata"`
}

// layoutCreated is ISO 8601 with microseconds and a numeric offset, which is
// always UTC's here.
const layoutCreated = "2006-01-02T15:04:05.000000-07:00"

var refreshListing = httpapi.NewListing([]string{"created_at", "client_id", "mobile"}, true,
	form.Text("client_id"),
	form.Field{Name: "created_at", Kind: instant{}},
	form.Field{Name: "mobile", Kind: boolean{}},
)

// listRefresh is GET /tokens.
func (h HTTP) listRefresh(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	tenant, err := c.Tenant(r.Context())
	if err != nil {
		return err
	}
	l, err := refreshListing.Read(r)
	if err != nil {
		return err
	}
	l.Tenant = tenant
	return h.writeRefresh(w, r, l)
}

// listRefreshOfUser is GET /users/{user_uuid}/tokens: of a user the caller may
// see, wherever below his tenant that is.
func (h HTTP) listRefreshOfUser(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	return h.refreshOf(w, r, c, r.PathValue("user_uuid"), true)
}

// listRefreshOfSelf is GET /users/me/tokens.
func (h HTTP) listRefreshOfSelf(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	self, err := c.Self()
	if err != nil {
		return err
	}
	return h.refreshOf(w, r, c, self, false)
}

func (h HTTP) refreshOf(w http.ResponseWriter, r *http.Request, c *httpapi.Caller, user string, recurse bool) error {
	_, tenant, err := c.User(r.Context(), h.Service.Store, user)
	if err != nil {
		return err
	}
	l, err := refreshListing.Read(r)
	if err != nil {
		return err
	}
	l.Tenant, l.User, l.Recurse = tenant, user, recurse
	return h.writeRefresh(w, r, l)
}

func (h HTTP) writeRefresh(w http.ResponseWriter, r *http.Request, l store.List) error {
	page, err := h.Service.Store.ListRefreshTokens(r.Context(), l)
	if err != nil {
		return err
	}
	return httpapi.WritePage(w, page, httpapi.TotalFirst, func(t store.RefreshToken) refreshToken {
		return refreshToken{
			ClientID: t.ClientID, CreatedAt: t.CreatedAt.UTC().Format(layoutCreated), Mobile: t.Mobile,
			UserUUID: t.UserUUID, TenantUUID: t.TenantUUID, Metadata: json.RawMessage(t.Metadata),
		}
	})
}

// deleteRefreshOfUser is DELETE /users/{user_uuid}/tokens/{client_id}. Tokens
// that were issued from it stay good (token.md §6).
func (h HTTP) deleteRefreshOfUser(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	return h.deleteRefresh(w, r, c, r.PathValue("user_uuid"))
}

// deleteRefreshOfSelf is DELETE /users/me/tokens/{client_id}.
func (h HTTP) deleteRefreshOfSelf(w http.ResponseWriter, r *http.Request, c *httpapi.Caller) error {
	self, err := c.Self()
	if err != nil {
		return err
	}
	return h.deleteRefresh(w, r, c, self)
}

func (h HTTP) deleteRefresh(w http.ResponseWriter, r *http.Request, c *httpapi.Caller, user string) error {
	if _, _, err := c.User(r.Context(), h.Service.Store, user); err != nil {
		return err
	}
	client := r.PathValue("client_id")
	_, err := h.Service.Store.DeleteRefreshToken(r.Context(), user, client)
	if errors.Is(err, store.ErrNotFound) {
		return httpapi.API(http.StatusNotFound, "cannot-find-refresh-token-matching-client-id",
			`unknown refresh_token for client_id "`+client+`"`, httpapi.Details{{Key: "client_id", Value: client}}, "tokens")
	}
	if err != nil {
		return err
	}
	httpapi.NoContent(w)
	return nil
}

// boolean is a filter the reference hands to Postgres: its words, in any case,
// and every beginning of them that fits one only.
type boolean struct{}

// Load implements [form.Kind].
func (boolean) Load(v any) (any, form.Entry) {
	text, _ := v.(string)
	switch text = strings.ToLower(strings.TrimSpace(text)); {
	case text == "":
	case strings.HasPrefix("true", text), strings.HasPrefix("yes", text), text == "on", text == "1":
		return true, nil
	case strings.HasPrefix("false", text), strings.HasPrefix("no", text), text == "off", text == "of", text == "0":
		return false, nil
	}
	return nil, form.WrongType("boolean", "boolean")
}

// instant is a filter for one, as it is listed or as Postgres writes it. The
// reference fails with a 500 on other text.
type instant struct{}

// Load implements [form.Kind].
func (instant) Load(v any) (any, form.Entry) {
	text, _ := v.(string)
	// A plus sign that was not percent-encoded arrives as a space.
	text = strings.TrimSpace(text)
	if i := strings.LastIndexByte(text, ' '); i > len("2006-01-02") {
		text = text[:i] + "+" + text[i+1:]
	}
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999Z07",
		"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", time.DateOnly,
	} {
		// Postgres has no year 0, which an offset can lead to.
		if t, err := time.Parse(layout, text); err == nil && t.UTC().Year() > 0 && t.UTC().Year() < 10_000 {
			return t.UTC().Truncate(time.Microsecond), nil
		}
	}
	return nil, form.WrongType("datetime", "datetime")
}
