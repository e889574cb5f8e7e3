package form

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

var errEncoding = fmt.Errorf("%w: invalid encoding", ErrSyntax)

// decode returns the text of a body as UTF-8, guessing its encoding as
// Python's json.loads does: by the byte order mark, else by where the zero
// bytes of the first, necessarily ASCII, character stand.
func decode(b []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(b, []byte{0, 0, 0xfe, 0xff}):
		return fromUTF32(b[4:], binary.BigEndian)
	case bytes.HasPrefix(b, []byte{0xff, 0xfe, 0, 0}): // before UTF-16, whose mark it starts with
		return fromUTF32(b[4:], binary.LittleEndian)
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		return fromUTF16(b[2:], binary.BigEndian)
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		return fromUTF16(b[2:], binary.LittleEndian)
	case bytes.HasPrefix(b, []byte{0xef, 0xbb, 0xbf}):
		return fromUTF8(b[3:])
	}
	switch {
	case len(b) >= 4 && b[0] == 0 && b[1] == 0:
		return fromUTF32(b, binary.BigEndian)
	case len(b) >= 4 && b[0] != 0 && b[1] == 0 && b[2] == 0 && b[3] == 0:
		return fromUTF32(b, binary.LittleEndian)
	case (len(b) >= 4 || len(b) == 2) && b[0] == 0:
		return fromUTF16(b, binary.BigEndian)
	case (len(b) >= 4 || len(b) == 2) && b[1] == 0:
		return fromUTF16(b, binary.LittleEndian)
	}
	return fromUTF8(b)
}

// fromUTF8 checks b. Python lets encoded surrogates (ED A0..BF xx) through;
// they become U+FFFD here, as every lone surrogate does.
func fromUTF8(b []byte) ([]byte, error) {
	if utf8.Valid(b) {
		return b, nil
	}
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			if len(b) < 3 || b[0] != 0xed || b[1]&0xe0 != 0xa0 || b[2]&0xc0 != 0x80 {
				return nil, errEncoding
			}
			size = 3
		}
		out = utf8.AppendRune(out, r)
		b = b[size:]
	}
	return out, nil
}

func fromUTF16(b []byte, order binary.ByteOrder) ([]byte, error) {
	if len(b)%2 != 0 {
		return nil, errEncoding
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	return []byte(string(utf16.Decode(units))), nil
}

func fromUTF32(b []byte, order binary.ByteOrder) ([]byte, error) {
	if len(b)%4 != 0 {
		return nil, errEncoding
	}
	out := make([]byte, 0, len(b)/4)
	for ; len(b) > 0; b = b[4:] {
		u := order.Uint32(b)
		if u > utf8.MaxRune {
			return nil, errEncoding
		}
		out = utf8.AppendRune(out, rune(u)) // surrogates become U+FFFD
	}
	return out, nil
}
