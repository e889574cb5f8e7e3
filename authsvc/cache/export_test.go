package cache

import "github.com/google/uuid"

// NegativeLen is how many unknown tokens are remembered.
func (c *Cache) NegativeLen() int { return c.negative.Len() }

// UnlessClosed has f use ristretto as a read of the store does.
func (c *Cache) UnlessClosed(id uuid.UUID, f func()) bool { return c.unlessClosed(id, f) }

// LockShard holds the lock of the token's shard until unlock.
func (c *Cache) LockShard(id uuid.UUID) (unlock func()) {
	sh := c.shards.of(id)
	sh.Lock()
	return sh.Unlock
}

// Buried reports whether the token has a tombstone.
func (c *Cache) Buried(id uuid.UUID) bool { return c.shards.of(id).revoked(id) }
