package authsvc_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
	"github.com/wazo-edge/xivo-auth/authsvc/users"
)

// BenchmarkHEADUnderLoginStorm asks HEAD /token at a constant rate, first in
// peace and then while many more clients log in than there are cores, and
// reports the percentiles of both and how many logins got through. Requests
// that come late because the one before them was slow count as slow, too
// (no coordinated omission).
func BenchmarkHEADUnderLoginStorm(b *testing.B) {
	const (
		clients = 256
		every   = 2 * time.Millisecond
		span    = 3 * time.Second
	)
	st, err := sqlite.Open(filepath.Join(b.TempDir(), "auth.db"), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	svc, err := authsvc.New(authsvc.Config{Store: st}, authsvc.Settings{MaxUserSessions: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = svc.Close() })
	if _, err := svc.Prepare(b.Context(), nil); err != nil {
		b.Fatal(err)
	}
	if _, err := svc.Users.Create(b.Context(), users.New{Username: "alice", Password: "s3cre7"}); err != nil {
		b.Fatal(err)
	}
	srv := httptest.NewServer(svc)
	b.Cleanup(srv.Close)
	transport := &http.Transport{MaxIdleConnsPerHost: clients + 1}
	client := &http.Client{Transport: transport}

	login := func() (int, string) {
		req, _ := http.NewRequestWithContext(b.Context(), http.MethodPost, srv.URL+"/0.1/token", strings.NewReader("{}"))
		req.SetBasicAuth("alice", "s3cre7")
		req.Header.Set("Content-Type", "application/json")
		res, err := client.Do(req)
		if err != nil {
			return 0, ""
		}
		defer func() { _ = res.Body.Close() }()
		var body struct{ Data struct{ Token string } }
		_ = json.NewDecoder(res.Body).Decode(&body)
		return res.StatusCode, body.Data.Token
	}
	_, token := login()
	heads := func() []time.Duration {
		var latencies []time.Duration
		start := time.Now()
		for due := start; due.Sub(start) < span; due = due.Add(every) {
			time.Sleep(time.Until(due))
			req, _ := http.NewRequestWithContext(b.Context(), http.MethodHead, srv.URL+"/0.1/token/"+token, nil)
			res, err := client.Do(req)
			if err != nil || res.StatusCode != http.StatusNoContent {
				b.Fatalf("HEAD: %v %v", res, err)
			}
			_ = res.Body.Close()
			latencies = append(latencies, time.Since(due))
		}
		slices.Sort(latencies)
		return latencies
	}
	at := func(l []time.Duration, p float64) float64 {
		return float64(l[int(p*float64(len(l)-1))].Microseconds())
	}

	for b.Loop() {
		peace := heads()
		var ok, busy atomic.Int64
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					switch status, _ := login(); status {
					case http.StatusOK:
						ok.Add(1)
					case http.StatusServiceUnavailable:
						busy.Add(1)
						time.Sleep(100 * time.Millisecond) // Retry-After, in a hurry
					}
				}
			})
		}
		time.Sleep(500 * time.Millisecond) // the queue is full
		storm := heads()
		close(stop)
		wg.Wait()
		b.ReportMetric(at(peace, 0.5), "peace-p50-µs")
		b.ReportMetric(at(peace, 0.99), "peace-p99-µs")
		b.ReportMetric(at(storm, 0.5), "storm-p50-µs")
		b.ReportMetric(at(storm, 0.99), "storm-p99-µs")
		b.ReportMetric(float64(ok.Load()), "logins")
		b.ReportMetric(float64(busy.Load()), "refused-503")
	}
}
