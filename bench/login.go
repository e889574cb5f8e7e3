//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/password"
)

// Login compares logins, one after the other, with the bare hash that the
// schema asks for.
type Login struct {
	// LoginMS and HashMS are milliseconds of one login and one hash, Ratio
	// is one by the other in the same round, CPURatio the same for seconds
	// of CPU.
	LoginMS  Spread `json:"login_ms"`
	HashMS   Spread `json:"hash_ms"`
	Ratio    Spread `json:"ratio"`
	CPURatio Spread `json:"cpu_ratio"`
}

func (b *bench) logins(ctx context.Context) (Login, error) {
	const each = 5
	l := b.login(1)
	node := []*process{b.node.process}
	var logins, hashes, ratios, cpus []float64
	for range b.plan.rounds {
		hashCPU, began := ownCPU(), time.Now()
		for range each {
			if _, _, err := password.Hash(userPassword); err != nil {
				return Login{}, err
			}
		}
		hash := time.Since(began)
		hashCPU = ownCPU() - hashCPU
		before, err := cpu(node)
		if err != nil {
			return Login{}, err
		}
		o := l.times(ctx, each)
		after, err := cpu(node)
		if err != nil {
			return Login{}, err
		}
		if o.bad > 0 {
			return Login{}, fmt.Errorf("logging in: %s", o.example)
		}
		logins = append(logins, o.elapsed.Seconds()*1e3/each)
		hashes = append(hashes, hash.Seconds()*1e3/each)
		ratios = append(ratios, o.elapsed.Seconds()/hash.Seconds())
		cpus = append(cpus, (after-before).Seconds()/hashCPU.Seconds())
	}
	return Login{spread(logins), spread(hashes), spread(ratios), spread(cpus)}, nil
}

// refreshToken logs in with one to come.
func (b *bench) refreshToken(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+b.node.addr("api")+"/0.1/token",
		strings.NewReader(`{"access_type": "offline", "client_id": "bench"}`))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth(userName, userPassword)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	var issued struct {
		Data struct {
			RefreshToken string `json:"refresh_token"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &issued); err != nil || issued.Data.RefreshToken == "" {
		return "", fmt.Errorf("logging in: %s: %s", resp.Status, body)
	}
	return issued.Data.RefreshToken, nil
}

// Storm is what a node still does while many clients log in at once.
type Storm struct {
	Clients int     `json:"clients"`
	Seconds float64 `json:"seconds"`
	// Offered is how many checks of tokens arrive in a second.
	Offered float64 `json:"offered_per_s"`
	// Calm and During are the checks before and in the storm: how many were
	// answered well in a second, and how soon.
	Calm          float64 `json:"calm_per_s"`
	CalmLatency   Latency `json:"calm_latency"`
	During        float64 `json:"during_per_s"`
	DuringLatency Latency `json:"during_latency"`
	// Logins are those that succeeded in a second, Hashes what one core
	// could hash meanwhile were it alone, Busy the answers 503 in all.
	Logins float64 `json:"logins_per_s"`
	Hashes float64 `json:"hashes_per_s_of_one_core"`
	Busy   uint64  `json:"busy"`
}

// storm has many clients log in, each again when it was let in, or a second after
// it was refused, as Retry-After asks, while checks go on arriving.
func (b *bench) storm(ctx context.Context, hashMS float64) (Storm, error) {
	s := Storm{Clients: b.plan.storm, Seconds: b.plan.stormFor.Seconds(), Offered: 500, Hashes: 1e3 / hashMS}
	check := load{addr: b.node.addr("api"), conns: 32, want: http.StatusNoContent, tokens: always(inside(setPlain)),
		req: request{method: http.MethodHead, path: "/0.1/token/{token}"}}
	calm := check.open(ctx, s.Offered, b.plan.stormFor/2)
	s.Calm, s.CalmLatency = calm.rate(), calm.hist.latency()

	login := b.login(b.plan.storm)
	login.busy = time.Second
	var logins *outcome
	var group sync.WaitGroup
	group.Go(func() { logins = login.closed(ctx, b.plan.stormFor) })
	during := check.open(ctx, s.Offered, b.plan.stormFor)
	group.Wait()
	s.During, s.DuringLatency = during.rate(), during.hist.latency()
	s.Logins, s.Busy = logins.rate(), logins.bad
	return s, ctx.Err()
}
