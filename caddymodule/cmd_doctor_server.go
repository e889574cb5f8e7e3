package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/wazo-edge/xivo-auth/authsvc/revocation"
)

// server asks the one that runs.
func (d *doctor) server() {
	var cache cacheReport
	if err := d.get("/xivo-auth/cache", &cache); err != nil {
		d.fail("server", "Check --address and that the server runs with the xivo_auth app.", "%v", err)
		return
	}
	d.grants = cache.Limits.Grants
	if cache.HitRatio == nil {
		d.ok("server", "it runs, and nobody has asked about a token yet")
	} else {
		d.ok("server", "it runs; memory answered %.1f%% of the questions about tokens", 100**cache.HitRatio)
	}

	var ready readiness
	if err := d.get("/xivo-auth/ready", &ready); err != nil {
		d.fail("server ready", "The reasons say which part to look at; the checks of the database may say more.", "%v", err)
	} else {
		d.ok("server ready", "it is ready")
	}

	var feed feedReport
	if err := d.get("/xivo-auth/feed", &feed); err != nil {
		d.fail("server feed", "Check --address and that the server runs with the xivo_auth app.", "%v", err)
		return
	}
	if d.feed = feed.Mode; feed.State == feedOff {
		d.feed = feedOff
	}
	switch feed.State {
	case string(revocation.Live):
		d.ok("server feed", "live since %s by %s; lost %d times before", feed.Since.Format("2006-01-02T15:04:05Z07:00"), feed.Mode, feed.Losses)
	case feedOff:
		d.warn("server feed", "Leave `feed off` out of the configuration, unless this is the only program that writes to the database.",
			"off: what is revoked elsewhere is noticed within %s", cache.Limits.MaxAge)
	case string(revocation.Waiting):
		d.fail("server feed", "Run xivo-auth migrate as the owner of the tables, or put `feed off` into the configuration.",
			"it was never heard: %s", feed.Error)
	default:
		d.fail("server feed", "It comes back by itself when the database does. Until then every token is looked up each time it is used.",
			"%s since %s: %s", feed.State, feed.Since.Format("2006-01-02T15:04:05Z07:00"), feed.Error)
	}
}

// get reads one of the admin endpoints.
func (d *doctor) get(path string, into any) error {
	resp, err := caddycmd.AdminAPIRequest(d.address, http.MethodGet, path, nil, nil)
	if err != nil {
		return fmt.Errorf("asking the server at %s: %w", d.address, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(into); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return nil
}
