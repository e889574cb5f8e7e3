package authsvc_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// These tests take random steps with the token resource and a model of it
// (model_state_test.go) and compare the two after each: what an operation that
// has returned revoked is refused by the very next request, everywhere, and
// what was refused has changed nothing.

// times makes these tests take longer: -model.times 20.
var times = flag.Int("model.times", 1, "how many times as many steps the model's tests take")

// result is what became of a sequence.
type result struct {
	steps  int
	counts map[string]int
	trace  []string
	err    error
}

// play takes the steps in a world of their own.
func play(open func() (*world, error), steps []step) (o result) {
	w, err := open()
	if err != nil {
		return result{err: fmt.Errorf("beginning: %w", err)}
	}
	defer func() { o.err = errors.Join(o.err, w.close()) }()
	o.counts = w.counts
	for _, s := range steps {
		o.err = w.do(s)
		o.trace, o.steps = w.trace, w.steps
		if o.err != nil {
			return o
		}
	}
	o.err = w.check(true)
	return o
}

// shrink leaves steps out, many at a time, then fewer, for as long as the rest
// fails and there is time.
func shrink(open func() (*world, error), steps []step) []step {
	until := time.Now().Add(20 * time.Second)
	for size := len(steps) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(steps); {
			if time.Now().After(until) {
				return steps
			}
			if fewer := slices.Delete(slices.Clone(steps), at, at+size); play(open, fewer).err != nil {
				steps = fewer
			} else {
				at += size
			}
		}
	}
	return steps
}

// prove plays the steps and tells what is wrong with as few of them as it can.
func prove(t *testing.T, open func() (*world, error), steps []step, from string) result {
	t.Helper()
	o := play(open, steps)
	if o.err == nil {
		return o
	}
	fewer := shrink(open, steps[:max(o.steps, 1)])
	small := play(open, fewer)
	t.Errorf("%s: %v\nshrunk to %d steps %x:\n  %s\n%v", from, o.err,
		len(fewer), writeSteps(fewer), strings.Join(small.trace, "\n  "), small.err)
	return o
}

// randomSteps are those of a seed. As many as the wheel has places, or a
// multiple of that, hold every operation as often as it weighs.
func randomSteps(seed uint64, n int) (steps []step) {
	r := rand.New(rand.NewPCG(seed, 3))
	for len(steps) < n {
		for _, at := range r.Perm(len(wheel)) {
			steps = append(steps, step{byte(at), byte(r.Uint32()), byte(r.Uint32())})
		}
	}
	return steps[:n]
}

func inSQLite(t *testing.T, hashing bool) func() (*world, error) {
	return func() (*world, error) { return sqliteWorld(t, hashing, modelLimit) }
}

func TestModel(t *testing.T) {
	t.Parallel()
	const first = 2 // this seed and the next one reach the session limit, among others
	last := uint64(first + 2**times)
	var (
		mu     sync.Mutex
		total  int
		counts = map[string]int{}
	)
	t.Run("sequences", func(t *testing.T) {
		for seed := uint64(first); seed < last; seed++ {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				o := prove(t, inSQLite(t, false), randomSteps(seed, len(wheel)), fmt.Sprintf("seed %d", seed))
				mu.Lock()
				defer mu.Unlock()
				total += o.steps
				for k, n := range o.counts {
					counts[k] += n
				}
			})
		}
	})
	for _, k := range []string{"login 200", "login 401", "login 429", "sessions revoked by a mobile"} {
		if counts[k] == 0 && !t.Failed() {
			t.Errorf("no sequence has %s: choose other seeds", k)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%5d %s", counts[k], k)
	}
	t.Logf("%d steps", total)
}

// TestModel_Hashing has passwords hashed, as they are in earnest.
func TestModel_Hashing(t *testing.T) {
	t.Parallel()
	story := []step{
		named("online login", 0, 0), named("wrong password", 0, 0), named("offline login", 0, 0),
		named("password", 0, 0), named("online login", 0, 0), named("refresh login", 0, 16), named("disable", 0, 0), named("online login", 0, 0),
	}
	prove(t, inSQLite(t, true), story, "the story")
	for seed := uint64(100); seed < 100+uint64(*times); seed++ {
		prove(t, inSQLite(t, true), randomSteps(seed, 6), fmt.Sprintf("seed %d", seed))
	}
}

func TestModel_Postgres(t *testing.T) {
	t.Parallel()
	open := func() (*world, error) { return postgresWorld(t, modelLimit) }
	for seed := uint64(200); seed < 200+2*uint64(*times); seed++ {
		prove(t, open, randomSteps(seed, 30), fmt.Sprintf("seed %d", seed))
	}
}

// FuzzModel reads steps from bytes. The seeds are one story for each way a
// token ends, and some random ones.
func FuzzModel(f *testing.F) {
	for _, steps := range [][]step{
		{named("online login", 0, 0), named("token DELETE", 0, 1), named("token DELETE", 0, 1)},
		{named("online login", 0, 1), named("clock, to an expiry", 0, 0), named("clock, to an expiry", 0, 1), named("purge", 0, 0)},
		{named("offline login", 0, 0), named("refresh login", 0, 16), named("mobile offline login", 0, 0), named("stale refresh login", 0, 0)},
		{named("mobile offline login", 1, 0), named("refresh login", 0, 16), named("mobile offline login", 1, 8), named("refresh token DELETE", 0, 0), named("mobile offline login", 1, 8)},
		{named("offline login", 2, 0), named("disable", 2, 0), named("refresh login", 0, 16), named("enable", 2, 0), named("refresh login", 0, 16)},
		{named("offline login", 0, 0), named("password", 0, 0), named("refresh login", 0, 16), named("restart", 0, 0)},
		{named("offline login", 0, 0), named("delete user", 0, 1), named("refresh login", 0, 16), named("create user", 0, 0), named("stale refresh login", 0, 0)},
		{named("online login", 0, 0), named("online login", 2, 0), named("session DELETE", 0, 33), named("session DELETE", 0, 1), named("session DELETE by an equal", 1, 0)},
		{named("online login", 1, 0), named("clock, past max_age", 0, 0), named("token DELETE", 0, 1), named("clock, a little", 4, 0)},
		slices.Repeat([]step{named("online login", 0, 5)}, modelLimit+1),
		slices.Repeat([]step{named("mobile offline login", 0, 0)}, modelLimit+1),
		// Sessions that expired count until they are purged.
		append(slices.Repeat([]step{named("online login", 0, 1)}, modelLimit), named("clock, a little", 2, 0), named("online login", 0, 0),
			named("mobile offline login", 0, 0), named("clock, a little", 3, 0), named("purge", 0, 0), named("online login", 0, 0)),
	} {
		f.Add(writeSteps(steps))
	}
	for seed := range uint64(2) {
		f.Add(writeSteps(randomSteps(1000+seed, 20)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		steps := readSteps(data, len(wheel))
		if o := play(inSQLite(t, false), steps); o.err != nil {
			t.Errorf("%v\n  %s", o.err, strings.Join(o.trace, "\n  "))
		}
	})
}
