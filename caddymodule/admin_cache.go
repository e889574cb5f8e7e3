package caddymodule

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// cacheReport is the cache of tokens at one moment.
type cacheReport struct {
	// Lookups are counted since the service was opened.
	Lookups map[string]uint64 `json:"lookups"`
	// HitRatio is the part of them that memory answered, null before the
	// first. Text that is no token's asks nobody and is left out.
	HitRatio *float64 `json:"hit_ratio"`
	// Tombstones are revocations that reads of the store under way may not
	// know of yet, Watches connections that end with their token.
	Tombstones int         `json:"tombstones"`
	Watches    int         `json:"watches"`
	Limits     cacheLimits `json:"limits"`
}

// cacheLimits are those in force, with their defaults filled in.
type cacheLimits struct {
	Grants       int    `json:"grants"`
	Negative     int    `json:"negative"`
	MaxAge       string `json:"max_age"`
	NegativeTTL  string `json:"negative_ttl"`
	StaleIfError string `json:"stale_if_error"`
}

// defaultGrants is how many tokens the cache holds where nobody says.
const defaultGrants = 1_000_000

func (a *Admin) cache(w http.ResponseWriter, _ *http.Request) error {
	return a.inside(func(app *App, sh *shared) error {
		stats := sh.CacheStats()
		report := cacheReport{
			Lookups: make(map[string]uint64, grant.States), HitRatio: hitRatio(stats),
			Tombstones: stats.Tombstones, Watches: stats.Watches,
			Limits: cacheLimits{
				Grants:       cmp.Or(max(0, app.Cache.Grants), defaultGrants),
				Negative:     cmp.Or(max(0, app.Cache.Negative), 65_536),
				MaxAge:       cmp.Or(time.Duration(app.Cache.MaxAge), 5*time.Minute).String(),
				NegativeTTL:  cmp.Or(time.Duration(app.Cache.NegativeTTL), 10*time.Second).String(),
				StaleIfError: cmp.Or(time.Duration(app.StaleIfError), 30*time.Second).String(),
			},
		}
		for state, n := range stats.Lookups {
			report.Lookups[grant.State(state).String()] = n
		}
		return answer(w, http.StatusOK, report)
	})
}

func hitRatio(s cache.Stats) *float64 {
	hits := s.Lookups[grant.Hit] + s.Lookups[grant.Negative]
	all := hits + s.Lookups[grant.Miss] + s.Lookups[grant.Degraded]
	if all == 0 {
		return nil
	}
	ratio := float64(hits) / float64(all)
	return &ratio
}

func (a *Admin) flush(w http.ResponseWriter, _ *http.Request) error {
	return a.inside(func(_ *App, sh *shared) error {
		sh.FlushCache()
		return answer(w, http.StatusOK, map[string]bool{"flushed": true})
	})
}

// revocationOrder says what to end: exactly one of these.
type revocationOrder struct {
	Token   string `json:"token"`
	User    string `json:"user"` // his uuid, or what he logs in with
	Session string `json:"session"`
}

// errOrder repeats nothing of what was sent: it is logged, and may have a token
// in the wrong place.
var errOrder = caddy.APIError{
	HTTPStatus: http.StatusBadRequest,
	Err:        errors.New(`want a JSON object with one of token, session (uuids) and user (a uuid or login)`),
}

func (a *Admin) revoke(w http.ResponseWriter, r *http.Request) error {
	if _, err := a.app(); err != nil {
		return err
	}
	end, err := readOrder(http.MaxBytesReader(w, r.Body, maxQuestion))
	if err != nil {
		return err
	}
	return a.inside(func(_ *App, sh *shared) error {
		ended, err := end(r.Context(), sh.Service)
		if err != nil {
			return publicError(err)
		}
		return answer(w, http.StatusOK, ended)
	})
}

// readOrder returns what carries the order out.
func readOrder(body io.Reader) (end func(context.Context, *authsvc.Service) (authsvc.Ended, error), err error) {
	var o revocationOrder
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	if dec.Decode(&o) != nil || dec.More() {
		return nil, errOrder
	}
	switch {
	case o.User != "" && o.Token == "" && o.Session == "":
		return func(ctx context.Context, s *authsvc.Service) (authsvc.Ended, error) { return s.RevokeUser(ctx, o.User) }, nil
	case o.User != "" || (o.Token == "") == (o.Session == ""):
		return nil, errOrder
	}
	id, err := uuid.Parse(o.Token + o.Session)
	if err != nil {
		return nil, errOrder
	}
	return func(ctx context.Context, s *authsvc.Service) (authsvc.Ended, error) {
		if o.Token != "" {
			return s.RevokeToken(ctx, id)
		}
		return s.RevokeSession(ctx, id)
	}, nil
}

// publicError tells what kind of error it was, and the rest to the log alone.
func publicError(err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: err, Message: "there is none"}
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrSchema):
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err, Message: "the store is unavailable: whether anything ended is not known"}
	}
	return caddy.APIError{HTTPStatus: http.StatusInternalServerError, Err: err, Message: "something unforeseen went wrong: see the log"}
}
