package freeport

import (
	"fmt"
	"net"
	"testing"
)

func TestPick(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for range 50 {
		port, err := Pick()
		if err != nil || seen[port] || port < first || port >= last {
			t.Fatalf("%d, %v", port, err)
		}
		seen[port] = true
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatalf("%d is not free: %v", port, err)
		}
		_ = l.Close()
	}
}
