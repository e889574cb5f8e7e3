package password

// Watch has watched told of every key that is derived, before it is.
func (c *Checker) Watch(watched func(password string, salt []byte)) {
	c.derive = func(password string, salt []byte) (string, error) {
		watched(password, salt)
		return derive(password, salt)
	}
}
