package caddymodule

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

// frame spells a frame the way a peer does; a client masks.
func frame(op byte, payload []byte, mask bool) []byte {
	b := []byte{0x80 | op, 0}
	switch n := len(payload); {
	case n < 126:
		b[1] = byte(n)
	case n < 1<<16:
		b[1] = 126
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b[1] = 127
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	if !mask {
		return append(b, payload...)
	}
	b[1] |= 0x80
	key := [4]byte{0x1f, 0x2e, 0x3d, 0x4c}
	b = append(b, key[:]...)
	for i, c := range payload {
		b = append(b, c^key[i%4])
	}
	return b
}

func TestFrames(t *testing.T) {
	t.Parallel()
	var all []byte
	var want []int
	for _, n := range []int{0, 1, 125, 126, 127, 1000, 1<<16 - 1, 1 << 16, 70_000, 0, 2} {
		for _, mask := range []bool{false, true} {
			all = append(all, frame(2, make([]byte, n), mask)...)
			want = append(want, len(all))
		}
	}
	for _, step := range []int{1, 2, 3, 7, 14, 4096, 1 << 20} {
		if got, _ := boundaries(all, func() int { return step }); !slices.Equal(got, want) {
			t.Errorf("in pieces of %d: frames end at %v, want %v", step, got, want)
		}
	}
	for _, c := range []struct {
		name string
		raw  []byte
		want bool
	}{
		{"close", frame(opClose, nil, false), true},
		{"close with a reason", closeFrame(4003, "so long"), true},
		{"close of a client", frame(opClose, []byte{3, 232}, true), true},
		{"half a close", closeFrame(4003, "so long")[:5], false},
		{"text, ping, pong", slices.Concat(frame(1, []byte("hi"), false), frame(9, nil, false), frame(10, nil, true)), false},
		{"close and more", slices.Concat(frame(opClose, nil, false), frame(1, []byte("hi"), false)), true},
	} {
		var f frames
		f.pass(c.raw)
		if f.closed != c.want {
			t.Errorf("%s: closed %v", c.name, f.closed)
		}
	}
}

// boundaries feeds raw in pieces of the sizes that step gives, and returns
// where frames end and whether the last one has.
func boundaries(raw []byte, step func() int) (ends []int, between bool) {
	var f frames
	for at := 0; at < len(raw); {
		piece := raw[at:min(len(raw), at+max(1, step()))]
		for len(piece) > 0 {
			n := f.next(piece)
			at, piece = at+n, piece[n:]
			if f.between() {
				ends = append(ends, at)
			}
		}
	}
	return ends, f.between()
}

// slowBoundaries is what RFC 6455 §5.2 says, for bytes that are all there.
func slowBoundaries(raw []byte) (ends []int, between bool) {
	for at := 0; ; {
		rest := raw[at:]
		if len(rest) == 0 {
			return ends, true
		}
		if len(rest) < 2 {
			return ends, false
		}
		head, size := 2, uint64(rest[1]&0x7f)
		switch size {
		case 126:
			head += 2
		case 127:
			head += 8
		}
		if rest[1]&0x80 != 0 {
			head += 4
		}
		if len(rest) < head {
			return ends, false
		}
		switch size {
		case 126:
			size = uint64(binary.BigEndian.Uint16(rest[2:]))
		case 127:
			size = binary.BigEndian.Uint64(rest[2:])
		}
		if uint64(len(rest)-head) < size {
			return ends, false
		}
		at += head + int(size)
		ends = append(ends, at)
	}
}

// FuzzFrames: whatever the bytes, and however they are cut, frames end where
// they do.
func FuzzFrames(f *testing.F) {
	f.Add(frame(1, []byte("hello"), true), []byte{1})
	f.Add(slices.Concat(frame(2, make([]byte, 300), false), closeFrame(4003, "revoked")), []byte{2, 1, 0})
	f.Add([]byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 0x88}, []byte{3, 200})
	f.Add(bytes.Repeat([]byte{0x89, 0}, 20), []byte{})
	f.Fuzz(func(t *testing.T, raw, cuts []byte) {
		want, wantBetween := slowBoundaries(raw)
		i := 0
		got, between := boundaries(raw, func() int {
			if len(cuts) == 0 {
				return len(raw)
			}
			i++
			return int(cuts[(i-1)%len(cuts)])
		})
		if !slices.Equal(got, want) || between != wantBetween {
			t.Errorf("% x cut by %v: frames end at %v (%v), want %v (%v)", raw, cuts, got, between, want, wantBetween)
		}
	})
}
