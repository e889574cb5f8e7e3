package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/wazo-edge/xivo-auth/authsvc/acl"
)

// ACLs compiles access lists and hands out one compiled form for equal lists,
// whoever holds them: `me` and `my_session` are resolved when matching, so the
// users of one policy share one ACL. Safe for concurrent use.
type ACLs struct {
	lists *lru.Cache[[sha256.Size]byte, *acl.ACL]
}

// NewACLs returns an interner that remembers the size lists used last; zero
// means 10 000. A forgotten list is compiled again and stays right.
func NewACLs(size int) (*ACLs, error) {
	if size <= 0 {
		size = 10_000
	}
	lists, err := lru.New[[sha256.Size]byte, *acl.ACL](size)
	if err != nil {
		return nil, fmt.Errorf("making the ACL cache: %w", err)
	}
	return &ACLs{lists: lists}, nil
}

// Compile returns the compiled form of accesses, and whether it was made now
// and so is held by nobody else yet. Order counts: the list is shown as it was
// stored.
func (a *ACLs) Compile(accesses []string) (compiled *acl.ACL, fresh bool) {
	h := sha256.New()
	var n [8]byte
	for _, s := range accesses {
		binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	var key [sha256.Size]byte
	h.Sum(key[:0])
	if compiled, ok := a.lists.Get(key); ok {
		return compiled, false
	}
	compiled = acl.Compile(accesses)
	if held, ok, _ := a.lists.PeekOrAdd(key, compiled); ok {
		return held, false
	}
	return compiled, true
}
