package postgres

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// caller is an echo whose calls end up here.
type caller struct {
	*echo
	calls []string
	err   error
	log   bytes.Buffer
}

func newCaller() *caller {
	c := &caller{}
	c.echo = newEcho(nil, slog.New(slog.NewTextHandler(&c.log, nil)), time.Second)
	c.send = func(_ context.Context, text string) error {
		c.calls = append(c.calls, text)
		return c.err
	}
	return c
}

// round calls out, if it does, and takes in what became of it.
func (c *caller) round(t *testing.T) error {
	t.Helper()
	c.call(t.Context())
	synctest.Wait()
	select {
	case err := <-c.results:
		return c.result(err)
	default:
		return nil
	}
}

// arrives is the arrival of the latest call.
func (c *caller) arrives() {
	c.hear(parseNotice("fence " + c.calls[len(c.calls)-1]))
}

// beat is one answered heartbeat, and whether it proves that nothing is heard.
func (c *caller) beat() (deaf bool) {
	asked := time.Now()
	return c.due(asked) && c.missing(asked)
}

// TestEcho_Deaf: of a connection that never hears its own call, one heartbeat a
// second after the call was taken is proof; none is sent before.
func TestEcho_Deaf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCaller()
		if c.due(time.Now()) {
			t.Error("a heartbeat before anything was called")
		}
		if err := c.round(t); err != nil {
			t.Fatal(err)
		}
		time.Sleep(heartbeat - 1)
		if c.due(time.Now()) {
			t.Error("a heartbeat while the call is on its way")
		}
		c.hear(parseNotice("ended 7 5cbf6a1e-0000-4000-8000-000000000000"))
		c.hear(parseNotice("fence SOMEBODY-1"))
		if c.heard() {
			t.Error("what others send passes for our own call")
		}
		time.Sleep(time.Nanosecond)
		if !c.beat() {
			t.Error("a call that stays out proves nothing")
		}
	})
}

// TestEcho_Again: after a minute without a word it calls again, and a call that
// stays out then ends the listening, too.
func TestEcho_Again(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCaller()
		c.call(t.Context())
		synctest.Wait()
		c.arrives() // before the database's answer is here
		if err := c.result(<-c.results); err != nil || c.beat() {
			t.Fatalf("a call that came back: %v", err)
		}
		for range 59 { // somebody is told now and then
			time.Sleep(reecho - time.Second)
			c.hear(parseNotice("tenants 5"))
			if err := c.round(t); err != nil || len(c.calls) != 1 || c.beat() {
				t.Fatalf("%d calls, %v", len(c.calls), err)
			}
		}
		time.Sleep(reecho)
		if err := c.round(t); err != nil || len(c.calls) != 2 {
			t.Fatalf("%d calls, %v", len(c.calls), err)
		}
		c.hear(parseNotice("fence " + c.calls[0])) // late
		if c.beat() {
			t.Error("a heartbeat of the same moment is proof")
		}
		time.Sleep(heartbeat)
		if !c.beat() {
			t.Error("a call that stays out proves nothing")
		}
		c.arrives()
		if c.beat() {
			t.Error("the call came back")
		}
	})
}

// TestEcho_CannotCall: nothing is known of a connection before the first call,
// so that has to succeed. Later ones are tried again and told of once.
func TestEcho_CannotCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCaller()
		c.err = errors.New("every connection is in use")
		if err := c.round(t); !errors.Is(err, c.err) {
			t.Errorf("the first call failed: %v", err)
		}
		c = newCaller()
		if err := c.round(t); err != nil {
			t.Fatal(err)
		}
		c.arrives()
		c.err = errors.New("every connection is in use")
		time.Sleep(reecho)
		for range 3 {
			if err := c.round(t); err != nil || c.beat() {
				t.Errorf("a later one: %v", err)
			}
			time.Sleep(heartbeat)
		}
		if n := strings.Count(c.log.String(), "every connection is in use"); n != 1 || len(c.calls) != 4 {
			t.Errorf("%d calls, told %d times", len(c.calls), n)
		}
	})
}

// TestSince_Suspended: the monotonic clock sleeps with a machine.
func TestSince_Suspended(t *testing.T) {
	t.Parallel()
	if ago := since(time.Now().Round(0).Add(-time.Hour)); ago < time.Hour {
		t.Errorf("%s", ago)
	}
	if ago := since(time.Now().Add(-time.Minute)); ago < time.Minute {
		t.Errorf("%s", ago)
	}
}
