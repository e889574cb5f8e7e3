//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// load is requests of one kind to one place.
type load struct {
	addr   string
	req    request
	tokens func() string // called by all workers; nil for none
	want   int           // the status of a good answer
	conns  int
	tls    *tls.Config
	h2     bool
	// busy is how long a client waits that was answered 503.
	busy time.Duration
	// pool are the clients, between [load.connect] and its end.
	pool []client
}

// outcome is what came of a load.
type outcome struct {
	n       uint64 // answers as wanted
	bad     uint64 // other answers and errors
	example string // one of the bad
	elapsed time.Duration
	hist    histogram
}

func (o *outcome) rate() float64 { return float64(o.n) / o.elapsed.Seconds() }

// add joins two slots of the same load.
func (o *outcome) add(p *outcome) {
	o.n, o.bad, o.elapsed = o.n+p.n, o.bad+p.bad, o.elapsed+p.elapsed
	if p.example != "" {
		o.example = p.example
	}
	o.hist.add(&p.hist)
}

// connect has the load keep its connections until the function it returns is
// called: to open them is no part of what a slot measures.
func (l *load) connect() (hangUp func()) {
	l.pool = l.clients()
	return func() {
		for _, c := range l.pool {
			c.close()
		}
		l.pool = nil
	}
}

func (l *load) clients() []client {
	list := make([]client, l.conns)
	var shared *http.Transport
	if l.h2 {
		shared = &http.Transport{TLSClientConfig: l.tls.Clone(), ForceAttemptHTTP2: true, ResponseHeaderTimeout: patience}
	}
	for i := range list {
		if l.h2 {
			list[i] = &h2Client{shared, "https://" + l.addr + l.req.path, &l.req}
		} else {
			list[i] = newRawClient(l.addr, &l.req, l.tls)
		}
	}
	return list
}

// worker is one client with what it saw.
type worker struct {
	l *load
	client
	outcome
}

// ask sends one request, whose latency counts from began.
func (w *worker) ask(began func() time.Time) {
	var token string
	if w.l.tokens != nil {
		token = w.l.tokens()
	}
	at := began()
	status, err := w.do(token)
	switch {
	case err != nil:
		w.bad++
		w.example = err.Error()
		time.Sleep(time.Millisecond) // what refuses connections must not make this a busy loop
	case status != w.l.want:
		w.bad++
		w.example = fmt.Sprintf("%d where %d was due", status, w.l.want)
		if status == http.StatusServiceUnavailable {
			time.Sleep(w.l.busy)
		}
	default:
		w.n++
		w.hist.record(time.Since(at))
	}
}

// run has all workers do step until it says no more.
func (l *load) run(step func(*worker) bool) *outcome {
	var (
		all   outcome
		mu    sync.Mutex
		group sync.WaitGroup
	)
	if l.pool == nil {
		defer l.connect()()
	}
	began := time.Now()
	for _, c := range l.pool {
		group.Go(func() {
			w := &worker{l: l, client: c}
			for step(w) {
			}
			mu.Lock()
			defer mu.Unlock()
			all.add(&w.outcome)
		})
	}
	group.Wait()
	all.elapsed = time.Since(began)
	return &all
}

// closed asks as fast as the answers come, on every connection the next
// request after the last answer, for d.
func (l *load) closed(ctx context.Context, d time.Duration) *outcome {
	end := time.Now().Add(d)
	return l.run(func(w *worker) bool {
		if ctx.Err() != nil || !time.Now().Before(end) {
			return false
		}
		w.ask(time.Now)
		return true
	})
}

// times asks n times in all.
func (l *load) times(ctx context.Context, n int64) *outcome {
	var done atomic.Int64
	return l.run(func(w *worker) bool {
		if ctx.Err() != nil || done.Add(1) > n {
			return false
		}
		w.ask(time.Now)
		return true
	})
}

// open has rate requests a second arrive for d, whether or not those before
// are answered. Latency counts from the moment a request was due and so holds
// whatever it waited for a connection: nothing is left out while the server is
// slow (Gil Tene's coordinated omission).
func (l *load) open(ctx context.Context, rate float64, d time.Duration) *outcome {
	var (
		next  atomic.Int64
		total = int64(rate * d.Seconds())
		began = time.Now()
	)
	return l.run(func(w *worker) bool {
		i := next.Add(1) - 1
		if ctx.Err() != nil || i >= total {
			return false
		}
		due := began.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		time.Sleep(time.Until(due))
		w.ask(func() time.Time { return due })
		return true
	})
}
