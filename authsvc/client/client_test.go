package client_test

import (
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/client"
)

func TestOf(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.1":              "192.0.2.1",
		"::ffff:192.0.2.1":       "192.0.2.1",
		"2001:db8::1":            "2001:db8::",
		"2001:db8::ffff:1":       "2001:db8::",
		"2001:db8:0:1:2:3:4:5":   "2001:db8:0:1::",
		"fe80::1%eth0":           "fe80::",
		"no address":             "no address",
		"2001:db8::1:2:3:4:5:6:": "2001:db8::1:2:3:4:5:6:",
		"":                       "",
	} {
		if got := client.Of(addr); got != want {
			t.Errorf("%q is %q, want %q", addr, got, want)
		}
		if got := client.From(client.With(t.Context(), addr)); got != want {
			t.Errorf("the context of %q is of %q, want %q", addr, got, want)
		}
	}
	if got := client.From(t.Context()); got != "" {
		t.Errorf("the context of nobody is of %q", got)
	}
}
