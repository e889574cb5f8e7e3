package authsvc_test

import (
	"context"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// overtaken is a store in which something happens to a user after his login
// was found good and before its token is stored.
type overtaken struct {
	store.Store
	happens func() error
}

func (o *overtaken) IssueToken(ctx context.Context, n store.NewToken) ([]string, error) {
	if err := o.happens(); err != nil {
		return nil, err
	}
	return o.Store.IssueToken(ctx, n)
}

func (o *overtaken) IssueOfflineToken(ctx context.Context, n store.NewToken, r store.RefreshToken) (store.Offline, error) {
	if err := o.happens(); err != nil {
		return store.Offline{}, err
	}
	return o.Store.IssueOfflineToken(ctx, n, r)
}

// TestModel_LoginOvertaken has operations that put a user out return while he
// is logging in. He must not be in afterwards: with 401 as if he had come
// later, or without a token that is good.
func TestModel_LoginOvertaken(t *testing.T) {
	t.Parallel()
	happenings := map[string]func(w *world, u *modelUser) error{
		"disabled": func(w *world, u *modelUser) error {
			_, err := w.svc.Users.SetEnabled(w.ctx, u.uuid, false)
			return err
		},
		"deleted": func(w *world, u *modelUser) error {
			_, err := w.svc.Users.Delete(w.ctx, u.uuid)
			return err
		},
		"password changed": func(w *world, u *modelUser) error {
			_, err := w.svc.Users.SetPassword(w.ctx, u.name, "second")
			return err
		},
		"refresh token deleted": func(w *world, u *modelUser) error {
			_, err := w.st.DeleteRefreshToken(w.ctx, u.uuid, "web")
			return err
		},
		"refresh token replaced": func(w *world, u *modelUser) error {
			return w.login(attempt{user: u, password: u.password, offline: true, mobile: true, client: "web"})
		},
	}
	logins := map[string]func(u *modelUser, r *modelRefresh) attempt{
		"online": func(u *modelUser, _ *modelRefresh) attempt { return attempt{user: u, password: u.password} },
		"offline": func(u *modelUser, _ *modelRefresh) attempt {
			return attempt{user: u, password: u.password, offline: true, client: "app"}
		},
		"refresh": func(_ *modelUser, r *modelRefresh) attempt { return attempt{refresh: r, client: r.client} },
	}
	for what, happen := range happenings {
		for how, login := range logins {
			if how != "refresh" && what[:3] == "ref" || how == "refresh" && what == "password changed" {
				continue // the one does not concern the other
			}
			t.Run(what+"/"+how, func(t *testing.T) {
				t.Parallel()
				w, err := sqliteWorld(t, false, modelLimit)
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := w.close(); err != nil {
						t.Error(err)
					}
				}()
				u := w.users[2]
				if err := w.login(attempt{user: u, password: u.password, offline: true, client: "web"}); err != nil {
					t.Fatal(err)
				}
				happened := false
				w.wrap = func(s store.Store) store.Store {
					return &overtaken{s, func() error {
						if happened {
							return nil
						}
						happened = true
						return happen(w, u)
					}}
				}
				if err := w.restart(0, 0); err != nil {
					t.Fatal(err)
				}
				body, headers := login(u, w.refresh[0]).request()
				rec := w.request("POST", "/0.1/token", body, headers...)
				switch rec.Code {
				case 401:
				case 200:
					got, err := readToken(rec)
					if err != nil {
						t.Fatal(err)
					}
					if code := w.request("HEAD", "/0.1/token/"+got.Token, "").Code; code != 404 {
						t.Errorf("he is in: HEAD %d", code)
					}
				default:
					t.Errorf("%d %s", rec.Code, rec.Body)
				}
			})
		}
	}
}
