package grant

import (
	"errors"

	"github.com/google/uuid"
)

// ErrUnknown reports that no token with this identifier exists: it was never
// issued, was revoked, or has expired. Where a store could not be asked the
// error is another one, so that "unknown" is never concluded from an outage.
var ErrUnknown = errors.New("unknown token")

// textLen is the length of a uuid in its dashed form.
const textLen = 36

// hexValue maps a lower-case hexadecimal digit to its value and every other
// byte to 0xff.
var hexValue = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i, c := range "0123456789abcdef" {
		t[c] = byte(i)
	}
	return t
}()

// hexOffset holds where the two digits of each byte stand in the dashed form.
var hexOffset = [16]int{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

// ParseID reads a token in the only form in which one is ever accepted: 36
// characters, dashed, lower case. Upper case, braces, urn: and undashed forms
// are refused on purpose: if several spellings named one token, a revocation
// recorded under one could be dodged by presenting another (Keystone
// CVE-2015-7546). It does not allocate.
func ParseID(s string) (id uuid.UUID, ok bool) {
	if len(s) != textLen || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return uuid.UUID{}, false
	}
	var bad byte
	for i, at := range hexOffset {
		hi, lo := hexValue[s[at]], hexValue[s[at+1]]
		bad |= hi | lo
		id[i] = hi<<4 | lo&0x0f
	}
	if bad > 0x0f {
		return uuid.UUID{}, false
	}
	return id, true
}

// AppendID appends the dashed lower-case form of id.
func AppendID(dst []byte, id uuid.UUID) []byte {
	const digits = "0123456789abcdef"
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, digits[b>>4], digits[b&0x0f])
	}
	return dst
}
