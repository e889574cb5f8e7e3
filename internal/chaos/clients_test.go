package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/grant"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
)

// world is all there is.
type world struct {
	*History
	nodes        []*node
	db           *sqlstore.Store // straight, as the Python service
	dsn          string          // without a link between
	user, tenant string
	client       *http.Client
	seed         uint64
	resets       atomic.Int64 // connections that a reload reset

	mu    sync.Mutex
	valid []Token // nobody has begun to end them
	ended []Token // the last ones
	lost  []Token // expired, or to expire soon
}

const (
	stock   = 150 // valid tokens there are at a time
	recent  = 100 // ended ones that are still tried
	perNode = 4   // clients that check on each node
)

// pause is around d.
func pause(ctx context.Context, rng *rand.Rand, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d/2 + below(rng, d)):
		return true
	}
}

func (w *world) rng(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(w.seed, stream)) }

// mint puts a token into the database.
func (w *world) mint(ctx context.Context, lifetime time.Duration) (Token, bool) {
	now := time.Now()
	t := store.Token{
		UUID: uuid.NewString(), AuthID: w.user, SessionUUID: uuid.NewString(), IssuedAt: now.Unix(), ExpiresAt: now.Add(lifetime).Unix(),
		Metadata: grant.Metadata(w.user, w.tenant, "", "", store.PurposeInternal), ACL: []string{"chaos.#"},
	}
	if err := w.db.CreateToken(ctx, store.Session{UUID: t.SessionUUID, TenantUUID: w.tenant}, t); err != nil {
		return Token{}, false
	}
	issued := Token{ID: t.UUID, Session: t.SessionUUID, Minted: w.Now(), Expires: w.At(time.Unix(t.ExpiresAt, 0))}
	w.Issued(issued)
	return issued, true
}

// login issues one as people do.
func (w *world) login(ctx context.Context, n *node) (Token, bool) {
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+n.api+"/0.1/token", strings.NewReader(`{"expiration": 7200}`))
	req.SetBasicAuth("admin", adminPassword)
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.client.Do(req)
	if err != nil {
		return Token{}, false
	}
	defer resp.Body.Close()
	var body struct {
		Data struct {
			Token   string
			Session string `json:"session_uuid"`
		}
	}
	if json.NewDecoder(resp.Body).Decode(&body) != nil || body.Data.Token == "" {
		return Token{}, false
	}
	t := Token{ID: body.Data.Token, Session: body.Data.Session, Minted: w.Now()}
	w.Issued(t)
	return t, true
}

// issue keeps enough of them in stock, some of which expire soon.
func (w *world) issue(ctx context.Context) {
	rng := w.rng(1)
	for i := 0; pause(ctx, rng, 50*time.Millisecond); i++ {
		w.mu.Lock()
		enough := len(w.valid) >= stock
		w.mu.Unlock()
		if i%12 == 0 {
			if t, ok := w.mint(ctx, time.Duration(2+rng.IntN(4))*time.Second); ok {
				w.mu.Lock()
				w.lost = last(append(w.lost, t), recent)
				w.mu.Unlock()
			}
		}
		if enough {
			continue
		}
		var t Token
		var ok bool
		if i%20 == 0 {
			t, ok = w.login(ctx, w.nodes[rng.IntN(len(w.nodes))])
		} else {
			t, ok = w.mint(ctx, time.Hour)
		}
		if ok {
			w.mu.Lock()
			w.valid = append(w.valid, t)
			w.mu.Unlock()
		}
	}
}

func last[T any](list []T, n int) []T { return list[max(0, len(list)-n):] }

// some is any token, a valid one mostly.
func (w *world) some(rng *rand.Rand) (Token, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	from := w.valid
	switch r := rng.IntN(100); {
	case r < 15:
		from = w.ended
	case r < 25:
		from = w.lost
	}
	if len(from) == 0 {
		return Token{}, false
	}
	return from[rng.IntN(len(from))], true
}

// use checks tokens on a node.
func (w *world) use(ctx context.Context, n *node, stream uint64) {
	for rng := w.rng(stream); pause(ctx, rng, 50*time.Millisecond); {
		if t, ok := w.some(rng); ok {
			w.check(n, t.ID, rng.IntN(2) == 0)
		}
	}
}

// check asks a node about a token and records what it says.
func (w *world) check(n *node, token string, guarded bool) Outcome {
	req, _ := http.NewRequest(http.MethodHead, "http://"+n.api+"/0.1/token/"+token, nil)
	if guarded {
		req, _ = http.NewRequest(http.MethodGet, "http://"+n.guarded+"/x", nil)
		req.Header.Set("X-Auth-Token", token)
	}
	c := Check{Node: n.i, Token: token, Begin: w.Now()}
	resp, err := w.do(n.i, req)
	c.End = w.Now()
	if err != nil {
		c.Outcome, c.Detail = Unanswered, err.Error()
	} else {
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		c.Detail = fmt.Sprintf("%s %d", req.Method, resp.StatusCode)
		switch {
		case guarded && resp.StatusCode == http.StatusOK, !guarded && resp.StatusCode == http.StatusNoContent:
			c.Outcome = Allowed
		case guarded && resp.StatusCode == http.StatusUnauthorized, !guarded && resp.StatusCode == http.StatusNotFound:
			c.Outcome = Refused
		case resp.StatusCode == http.StatusServiceUnavailable:
			c.Outcome = Unavailable
		default:
			c.Outcome = Odd
		}
	}
	if token != "" && !strings.HasPrefix(token, madeUp) {
		w.Checked(c)
	}
	return c.Outcome
}

// do sends a request. While Caddy is reloaded it opens another socket on the same
// address and closes the first, and with that some of the connections that were
// just made there (docs/operations.md). Clients connect again, as they do when
// one that they used before is closed; those that are lost are counted.
func (w *world) do(n int, req *http.Request) (*http.Response, error) {
	for {
		fresh := true
		traced := req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{
			// Again for the connection that takes the place of one that was
			// closed since it was used.
			GetConn: func(string) { fresh = true },
			GotConn: func(got httptrace.GotConnInfo) { fresh = !got.Reused },
		}))
		resp, err := w.client.Do(traced)
		if !fresh || !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) || !w.Ongoing(Reloads, n) {
			return resp, err
		}
		w.resets.Add(1)
	}
}

// madeUp is how tokens begin that nobody issued.
const madeUp = "00000000-"

// below is a time less than d.
func below(rng *rand.Rand, d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }
