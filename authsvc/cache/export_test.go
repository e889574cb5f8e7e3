package cache

// NegativeLen is how many unknown tokens are remembered.
func (c *Cache) NegativeLen() int { return c.negative.Len() }
