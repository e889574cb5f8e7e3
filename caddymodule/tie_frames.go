package caddymodule

import "encoding/binary"

// frames follows a stream of WebSocket frames (RFC 6455 §5.2) that comes in any
// pieces, to know where one ends. It judges nothing: whether the frames make
// sense is for those to say whom they are for.
type frames struct {
	header [14]byte
	have   int    // bytes of it
	left   uint64 // bytes of the payload to come, when the header is complete
	closed bool   // a close frame has passed, after which there are no others
}

const opClose = 8

// between reports whether no frame has begun that has not ended.
func (f *frames) between() bool { return f.have == 0 }

// size is that of the header, as far as can be told.
func (f *frames) size() int {
	if f.have < 2 {
		return 2
	}
	n := 2
	switch f.header[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if f.header[1]&0x80 != 0 {
		n += 4 // the mask
	}
	return n
}

// payload reads its length off a complete header.
func (f *frames) payload() uint64 {
	switch n := f.header[1] & 0x7f; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.header[2:]))
	case 127:
		return binary.BigEndian.Uint64(f.header[2:])
	default:
		return uint64(n)
	}
}

// next takes p in up to the end of the frame, or all of it, and returns how
// much that was.
func (f *frames) next(p []byte) (n int) {
	for f.have < f.size() {
		if n == len(p) {
			return n
		}
		took := copy(f.header[f.have:f.size()], p[n:])
		f.have, n = f.have+took, n+took
		if f.have == f.size() {
			f.left = f.payload()
		}
	}
	took := min(f.left, uint64(len(p)-n))
	f.left -= took
	if f.left == 0 {
		f.closed = f.closed || f.header[0]&0x0f == opClose
		f.have = 0
	}
	return n + int(took)
}

// pass takes all of p in.
func (f *frames) pass(p []byte) {
	for len(p) > 0 {
		p = p[f.next(p):]
	}
}

// closeFrame is one from a server.
func closeFrame(code uint16, reason string) []byte {
	b := []byte{0x80 | opClose, byte(2 + len(reason))}
	return append(binary.BigEndian.AppendUint16(b, code), reason...)
}
