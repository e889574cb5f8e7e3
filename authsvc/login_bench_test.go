package authsvc_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/password"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// BenchmarkLogin_Queries measures POST /token over Postgres, the hash of the
// password included, and how many round trips to the server a login makes.
// The counter stands between, which adds some 0.1 ms to each.
func BenchmarkLogin_Queries(b *testing.B) {
	trips := pgtest.Count(b, pgtest.DSN(b))
	st, err := postgres.Open(trips.DSN, store.Options{MaxConns: 4})
	if err != nil {
		b.Fatal(err)
	}
	svc, err := authsvc.New(authsvc.Config{Store: st}, authsvc.Settings{CleanupInterval: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := svc.Close(); err != nil {
			b.Error(err)
		}
	})
	if _, err := svc.Prepare(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	hash, salt, err := password.Hash("s3cre7")
	if err != nil {
		b.Fatal(err)
	}
	u, err := st.CreateUser(b.Context(), store.NewUser{
		User:         store.User{Username: "user", Enabled: true, Purpose: store.PurposeUser, Method: store.MethodDefault},
		PasswordHash: hash, PasswordSalt: salt, PolicySlugs: []string{"wazo_default_master_user_policy"},
	})
	if err != nil {
		b.Fatal(err)
	}
	// login answers with the refresh token, if there is one in the answer.
	login := func(b *testing.B, pass, body, session string) string {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/0.1/token", strings.NewReader(body))
		if pass != "" {
			r.SetBasicAuth("user", pass)
		}
		r.Header.Set("Wazo-Session-Type", session)
		w := httptest.NewRecorder()
		svc.ServeHTTP(w, r)
		var answer struct {
			Data struct {
				RefreshToken string `json:"refresh_token"`
			} `json:"data"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
			b.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
		return answer.Data.RefreshToken
	}
	const offline = `{"access_type": "offline", "client_id": "client"}`
	refresh := func(b *testing.B) string {
		return `{"client_id": "client", "refresh_token": "` + login(b, "s3cre7", offline, "") + `"}`
	}
	for _, c := range []struct {
		name, pass, session string
		body                func(*testing.B) string
	}{
		{"online", "s3cre7", "", func(*testing.B) string { return `{}` }},
		{"refresh", "", "", refresh},
		{"offline", "s3cre7", "", func(*testing.B) string { return offline }},
		{"offline-mobile", "s3cre7", "mobile", func(*testing.B) string { return offline }},
	} {
		b.Run(c.name, func(b *testing.B) {
			body := c.body(b)
			queries, logins := 0, 0
			trips.Take()
			for b.Loop() {
				login(b, c.pass, body, c.session)
				if logins++; logins%50 == 0 { // below the session limit
					b.StopTimer()
					queries += len(trips.Take())
					if _, err := st.DeleteUserSessions(b.Context(), u.UUID); err != nil {
						b.Fatal(err)
					}
					trips.Take()
					b.StartTimer()
				}
			}
			queries += len(trips.Take())
			b.ReportMetric(float64(queries)/float64(logins), "queries/login")
			if _, err := st.DeleteUserSessions(b.Context(), u.UUID); err != nil {
				b.Fatal(err)
			}
		})
	}
}
