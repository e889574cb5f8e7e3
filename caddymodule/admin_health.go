package caddymodule

import (
	"context"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc"
)

// feedOff is the state of a feed that is not wanted.
const feedOff = "off"

// feedReport is the revocation feed at one moment.
type feedReport struct {
	State   string     `json:"state"` // live, lost, waiting, off
	Mode    string     `json:"mode,omitempty"`
	Since   *time.Time `json:"since,omitempty"`
	Changes uint64     `json:"changes"`
	Losses  uint64     `json:"losses"`
	Error   string     `json:"error,omitempty"` // why it is not live
}

func (a *Admin) feed(w http.ResponseWriter, _ *http.Request) error {
	return a.inside(func(_ *App, sh *shared) error {
		status, on := sh.FeedStatus()
		if !on {
			return answer(w, http.StatusOK, feedReport{State: feedOff})
		}
		since := status.Since.UTC()
		return answer(w, http.StatusOK, feedReport{
			State: string(status.State), Mode: status.Mode, Since: &since,
			Changes: status.Changes, Losses: status.Losses, Error: withoutSecrets(status.Err),
		})
	})
}

// secrets are what a driver may quote of a connection string.
var secrets = regexp.MustCompile(`(?i)(://[^/\s:@]*:)\S*(@)|\b(pass(?:word|file)?\s*=\s*)(?:'(?:[^'\\]|\\.)*'|[^\s'"]+)`)

// withoutSecrets takes passwords out of the text of an error.
func withoutSecrets(text string) string {
	return secrets.ReplaceAllString(text, "${1}${3}REDACTED${2}")
}

const (
	// readyFor is how long an answer to a probe holds: however many probes
	// there are, they ask the store once in that time.
	readyFor = time.Second
	// readyTimeout bounds the question. It is less than probes wait.
	readyTimeout = 2 * time.Second
)

// health is what the last probe found out.
type health struct {
	mu        sync.Mutex // held while the store is asked: other probes wait for the same answer
	of        *shared
	at        time.Time
	obstacles []authsvc.Obstacle
}

// check returns why the service is not ready.
func (h *health) check(ctx context.Context, sh *shared) []authsvc.Obstacle {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.of == sh && time.Since(h.at) < readyFor {
		return h.obstacles
	}
	// Detached: the answer is also for those who wait, and a probe that gives
	// up must not pass for a store that does not answer.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	h.obstacles = sh.Obstacles(ctx)
	h.of, h.at = sh, time.Now()
	return h.obstacles
}

// readiness is the answer to a probe.
type readiness struct {
	Ready   bool               `json:"ready"`
	Reasons []authsvc.Obstacle `json:"reasons,omitempty"`
}

// ready tells whether to send requests here.
func (a *Admin) ready(w http.ResponseWriter, r *http.Request) error {
	return a.inside(func(_ *App, sh *shared) error {
		reasons := a.health.check(r.Context(), sh)
		if len(reasons) > 0 {
			w.Header().Set("Retry-After", "1")
			return answer(w, http.StatusServiceUnavailable, readiness{Reasons: reasons})
		}
		return answer(w, http.StatusOK, readiness{Ready: true})
	})
}

// live tells that there is no point in restarting the process: it looks at
// nothing but that it can answer. An outage of the store is no reason either.
func (*Admin) live(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, http.StatusOK, map[string]bool{"live": true})
}
