package cache

import (
	"fmt"
	"hash/maphash"
	"slices"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
)

// ACLs compiles access lists and hands out one compiled form for equal lists,
// whoever holds them: `me` and `my_session` are resolved when matching, so the
// users of one policy share one ACL. Safe for concurrent use.
type ACLs struct {
	// lists are keyed by a hash that only finds them; whether it is the same
	// list is for a comparison to say.
	lists *lru.Cache[uint64, *acl.ACL]
	seed  maphash.Seed
}

// NewACLs returns an interner that remembers the size lists used last; zero
// means 10 000. A forgotten list is compiled again and stays right.
func NewACLs(size int) (*ACLs, error) {
	if size <= 0 {
		size = 10_000
	}
	lists, err := lru.New[uint64, *acl.ACL](size)
	if err != nil {
		return nil, fmt.Errorf("making the ACL cache: %w", err)
	}
	return &ACLs{lists: lists, seed: maphash.MakeSeed()}, nil
}

// Compile returns the compiled form of accesses, and whether it was made now
// and so is held by nobody else yet. Order counts: the list is shown as it was
// stored.
func (a *ACLs) Compile(accesses []string) (compiled *acl.ACL, fresh bool) {
	var h maphash.Hash
	h.SetSeed(a.seed)
	for _, s := range accesses {
		h.WriteString(s)
		h.WriteByte(0)
	}
	key := h.Sum64()
	if held, ok := a.lists.Get(key); ok && slices.Equal(held.Accesses(), accesses) {
		return held, false
	}
	compiled = acl.Compile(accesses)
	if held, ok, _ := a.lists.PeekOrAdd(key, compiled); ok && slices.Equal(held.Accesses(), accesses) {
		return held, false
	}
	return compiled, true
}
