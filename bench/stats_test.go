//go:build linux

package main

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestOutside: the ranks that tables of the sign test give for 95 %.
func TestOutside(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{1: 0, 2: 0, 5: 0, 6: 0, 8: 0, 9: 1, 11: 1, 12: 2, 15: 3, 20: 5, 25: 7, 30: 9, 50: 17, 100: 39} {
		if got := outside(n); got != want {
			t.Errorf("of %d figures %d may be outside, want %d", n, got, want)
		}
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		figures []float64
		want    Spread
	}{
		{"none", nil, Spread{}},
		{"one", []float64{3}, Spread{3, 3, 3}},
		{"odd", []float64{9, 1, 4}, Spread{4, 1, 9}},
		{"even", []float64{4, 1, 2, 9}, Spread{3, 1, 9}},
		{"many", []float64{12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, Spread{6.5, 3, 10}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			given := slices.Clone(c.figures)
			if got := spread(c.figures); got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
			if !slices.Equal(given, c.figures) {
				t.Errorf("the figures were put into another order")
			}
		})
	}
}

// TestBucket: buckets cover everything without a gap, in order, and none is
// wider than 1.6 % of what it holds.
func TestBucket(t *testing.T) {
	t.Parallel()
	last := time.Duration(-1)
	for i := range 40 * subBuckets {
		up := upper(i)
		if bucket(last+1) != i || bucket(up) != i {
			t.Fatalf("bucket %d is to hold %d to %d; they fall into %d and %d", i, last+1, up, bucket(last+1), bucket(up))
		}
		if width := up - last; i >= subBuckets && float64(width) > .016*float64(up) {
			t.Fatalf("bucket %d of %d is %d wide", i, up, width)
		}
		last = up
	}
	if bucket(-time.Second) != 0 {
		t.Error("a clock that was set back")
	}
	_ = bucket(1<<63 - 1) // is within bounds
}

func TestHistogram_Quantile(t *testing.T) {
	t.Parallel()
	var halves [2]histogram
	var all []time.Duration
	for i := range 10_000 {
		d := time.Duration(rand.ExpFloat64() * float64(time.Millisecond))
		halves[i%2].record(d)
		all = append(all, d)
	}
	halves[0].add(&halves[1])
	h := &halves[0]
	slices.Sort(all)
	for _, q := range []float64{.5, .9, .99, .999, 1} {
		want := all[int(q*float64(len(all)))-1]
		if got := h.quantile(q); got < want || float64(got) > 1.016*float64(want)+1 {
			t.Errorf("quantile %v is %s, want %s or hardly more", q, got, want)
		}
	}
	if h.max != all[len(all)-1] || h.n != uint64(len(all)) {
		t.Errorf("max %s, n %d", h.max, h.n)
	}
	if got := new(histogram).latency(); got != (Latency{}) {
		t.Errorf("of nothing: %+v", got)
	}
}
