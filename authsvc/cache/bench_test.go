package cache_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/wazo-edge/xivo-auth/authsvc/cache"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

// accesses returns n accesses, different for every list.
func accesses(list, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("service-%d.resource-%d.*.update", list%7, list*n+i)
	}
	return out
}

// BenchmarkLookupMiss is what the cache itself costs when the store has to be
// asked, with a store that answers at once.
func BenchmarkLookupMiss(b *testing.B) {
	acls, err := cache.NewACLs(0)
	if err != nil {
		b.Fatal(err)
	}
	list := accesses(1, 300)
	known := loadFunc(func(_ context.Context, id uuid.UUID, now time.Time) (*grant.Grant, error) {
		a, _ := acls.Compile(list)
		return grant.New(grant.Fields{
			Token: id, AuthID: "6f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c", SessionUUID: "c0ffee00-1234-4abc-8def-0123456789ab",
			ExpiresAt: now.Unix() + 7200, UserAgent: "curl/8", RemoteAddr: "192.0.2.1", ACL: a,
		}, now), nil
	})
	unknown := loadFunc(func(context.Context, uuid.UUID, time.Time) (*grant.Grant, error) { return nil, grant.ErrUnknown })
	for _, c := range []struct {
		name   string
		loader cache.Loader
		want   string
	}{{"known", known, "granted"}, {"unknown", unknown, "unknown"}} {
		b.Run(c.name, func(b *testing.B) {
			held := newCache(b, c.loader, cache.Config{})
			held.SetLimits(cache.Limits{MaxAge: 1, NegativeTTL: -1})
			ids := make([]string, 1024)
			for i := range ids {
				ids[i] = uuid.NewString()
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, _, err := held.Lookup(b.Context(), ids[i%len(ids)]); kind(err) != c.want {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}

// BenchmarkMillionGrants fills a cache with a million grants of distinct users
// and sessions that share 200 lists of 300 accesses, and reports what one of
// them takes of the heap with everything it brings along, what all of them add
// to the memory of the process, how many are found again, and how many lookups
// of them, all over the million, there are in a second on all cores.
func BenchmarkMillionGrants(b *testing.B) {
	if testing.Short() {
		b.Skip("takes half a gigabyte")
	}
	const grants, lists, perList = 1_000_000, 200, 300
	now := time.Now()
	nobody := loadFunc(func(context.Context, uuid.UUID, time.Time) (*grant.Grant, error) { return nil, errDown })
	agents := []string{"Mozilla/5.0 (X11; Linux x86_64)", "wazo-desktop/3.1", "python-requests/2.31", "curl/8.5"}

	for b.Loop() {
		b.StopTimer()
		before := liveHeap()
		residentBefore := residentBytes(b)
		b.StartTimer()

		c, err := cache.New(nobody, cache.Config{Grants: grants})
		if err != nil {
			b.Fatal(err)
		}
		acls, err := cache.NewACLs(0)
		if err != nil {
			b.Fatal(err)
		}
		source := make([][]string, lists)
		for i := range source {
			source[i] = accesses(i, perList)
		}
		ids := make([]uuid.UUID, grants)
		for i := range ids {
			ids[i] = uuid.New()
			user, tenant := uuid.NewString(), uuid.UUID{15: byte(i % 50), 8: 0x80}.String()
			compiled, fresh := acls.Compile(source[i%lists])
			c.Put(grant.New(grant.Fields{
				Token: ids[i], AuthID: user, PBXUserUUID: user, XiVOUUID: "9f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c",
				IssuedAt: now.Unix(), ExpiresAt: now.Unix() + 7200 + int64(i%3600),
				Metadata:    grant.Metadata(user, tenant, user, "9f1a2c3e-0b77-4c7e-9a55-3d4f5e6a7b8c", "user"),
				SessionUUID: uuid.NewString(), UserAgent: agents[i%len(agents)],
				RemoteAddr: fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&0xff, i&0xff),
				UserTenant: tenant, ACL: compiled, OwnACL: fresh,
			}, now))
			if i%10_000 == 0 {
				c.Wait() // ristretto drops what comes faster than it can take
			}
		}
		c.Wait()
		b.StopTimer()
		perGrant := float64(liveHeap()-before-grants*int64(len(uuid.UUID{}))) / grants // less our own list of ids
		rss := residentBytes(b) - residentBefore
		inUse := heapInUse()
		tokens := make([]string, grants)
		for i, id := range ids {
			tokens[i] = id.String()
		}
		var found atomic.Int64
		var cores sync.WaitGroup
		workers := runtime.GOMAXPROCS(0)
		began := time.Now()
		for worker := range workers {
			cores.Go(func() {
				hits := int64(0)
				for i := worker; i < grants; i += workers {
					if _, state, err := c.Lookup(b.Context(), tokens[i]); err == nil && state == grant.Hit {
						hits++
					}
				}
				found.Add(hits)
			})
		}
		cores.Wait()
		rate := grants / time.Since(began).Seconds()
		runtime.KeepAlive(acls)
		c.Close()
		b.StartTimer()
		b.ReportMetric(perGrant, "bytes/grant")
		b.ReportMetric(float64(rss)/(1<<20), "RSS-MiB")
		b.ReportMetric(float64(inUse)/(1<<20), "heap-MiB")
		b.ReportMetric(float64(found.Load()), "found")
		b.ReportMetric(rate, "lookups/s")
		if perGrant > 400 {
			b.Errorf("%.0f bytes a grant, more than the cache reckons with", perGrant)
		}
		if rss > 512<<20 {
			b.Errorf("%d bytes of memory for a million grants", rss)
		}
		if found.Load() < grants*99/100 {
			b.Errorf("%d of %d grants found", found.Load(), grants)
		}
	}
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse)
}

// residentBytes is the memory of this process once it gave back what it does not
// use, 0 where the system does not tell.
func residentBytes(b *testing.B) int64 {
	b.Helper()
	debug.FreeOSMemory()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		var kB int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kB); err == nil {
			return kB << 10
		}
	}
	return 0
}
