//go:build linux

package main

import (
	"math"
	"math/bits"
	"slices"
	"time"
)

// Spread is a figure that was taken several times: the machine is shared, so
// one number alone would say less than it seems to. The true median lies from
// Low to High with a confidence of 95 %, whatever the distribution.
type Spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// spread summarises the figures of several rounds; the zero Spread for none.
func spread(figures []float64) Spread {
	if len(figures) == 0 {
		return Spread{}
	}
	s := slices.Sorted(slices.Values(figures))
	n := len(s)
	cut := outside(n)
	return Spread{Median: (s[(n-1)/2] + s[n/2]) / 2, Low: s[cut], High: s[n-1-cut]}
}

// outside is how many of n figures may be left out at either end so that the
// rest still spans the median with a confidence of 95 %. Each figure is below
// it with a chance of one half, so their number is binomial, and the interval
// misses when at most that many are on one side. With less than six figures
// nothing may be left out, and the confidence is less.
func outside(n int) int {
	chance := math.Pow(.5, float64(n)) // of exactly k below the median
	k, missed := 0, chance
	for 2*missed <= .05 {
		k++
		chance *= float64(n-k+1) / float64(k)
		missed += chance
	}
	return max(0, k-1)
}

// histogram counts durations in buckets that are at most 1.6 % wide, as HDR
// histograms do, so that a percentile of millions of requests costs a fixed
// amount of memory. Its owner alone uses it; see [histogram.add].
type histogram struct {
	counts [64 * subBuckets]uint64
	n      uint64
	max    time.Duration
}

// subBuckets is how finely each power of two is divided.
const (
	subBits    = 6
	subBuckets = 1 << subBits
)

// bucket is the index of d's bucket.
func bucket(d time.Duration) int {
	v := uint64(max(0, d))
	if v < subBuckets {
		return int(v)
	}
	exp := bits.Len64(v) - 1 - subBits
	return (exp+1)*subBuckets + int(v>>exp) - subBuckets
}

// upper is the longest duration of a bucket: a percentile is never flattered.
func upper(i int) time.Duration {
	if i < subBuckets {
		return time.Duration(i)
	}
	exp := i/subBuckets - 1
	return time.Duration(uint64(i%subBuckets+subBuckets+1)<<exp - 1)
}

func (h *histogram) record(d time.Duration) {
	h.counts[bucket(d)]++
	h.n++
	h.max = max(h.max, d)
}

// add takes in what another goroutine recorded, when that is done.
func (h *histogram) add(o *histogram) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// quantile is the duration that the part q of all did not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(q * float64(h.n)))
	var seen uint64
	for i, c := range h.counts {
		if seen += c; seen >= rank && c > 0 {
			return min(upper(i), h.max)
		}
	}
	return h.max
}

// Latency are percentiles in microseconds.
type Latency struct {
	P50  float64 `json:"p50_us"`
	P90  float64 `json:"p90_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p999_us"`
	Max  float64 `json:"max_us"`
}

func (h *histogram) latency() Latency {
	us := func(q float64) float64 { return float64(h.quantile(q)) / 1e3 }
	return Latency{P50: us(.5), P90: us(.9), P99: us(.99), P999: us(.999), Max: float64(h.max) / 1e3}
}
