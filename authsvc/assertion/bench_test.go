package assertion_test

import (
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/assertion"
	"github.com/wazo-edge/xivo-auth/authsvc/grant"
)

// TestSigner_ReuseDoesNotAllocate is not parallel: AllocsPerRun counts the whole
// process.
func TestSigner_ReuseDoesNotAllocate(t *testing.T) {
	s, _ := newSigner(t, assertion.Config{})
	ordinary := newGrant(nil)
	internal := newGrant(func(f *grant.Fields) { f.AuthID, f.UserTenant, f.Metadata = grant.InternalAuthID, "", "{}" })
	for _, c := range []struct {
		name   string
		g      *grant.Grant
		tenant string
	}{{"own tenant", ordinary, ""}, {"a tenant", ordinary, otherTenant}, {"internal", internal, ""}} {
		t.Run(c.name, func(t *testing.T) {
			sign(t, s, c.g, "confd", c.tenant)
			if n := testing.AllocsPerRun(1000, func() { _, _ = s.Sign(c.g, "confd", c.tenant) }); n != 0 {
				t.Errorf("%v allocations to reuse an assertion, want none", n)
			}
		})
	}
}

// BenchmarkSign is a request whose assertion has to be signed.
func BenchmarkSign(b *testing.B) {
	s, clock := newSigner(b, assertion.Config{})
	g := newGrant(func(f *grant.Fields) { f.ExpiresAt = 1<<31 - 1 })
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		clock.set(time.Duration(i%1e6) * 16 * time.Second)
		if _, err := s.Sign(g, "confd", ""); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReuse is one whose assertion is there, with 4096 tokens in turn.
func BenchmarkReuse(b *testing.B) {
	s, _ := newSigner(b, assertion.Config{})
	grants := make([]*grant.Grant, 4096)
	for i := range grants {
		grants[i] = newGrant(func(f *grant.Fields) { f.Token[0], f.Token[1] = byte(i>>8), byte(i) })
		sign(b, s, grants[i], "confd", "")
	}
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := s.Sign(grants[i&4095], "confd", ""); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				if _, err := s.Sign(grants[i&4095], "confd", ""); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}
