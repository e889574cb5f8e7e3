package policies

import (
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// TestFit: a policy that came with the database can be read, changed and sent
// back, whatever it has.
func TestFit(t *testing.T) {
	t.Parallel()
	long, edge := strings.Repeat("é", store.MaxIndexed/2+1), strings.Repeat("é", store.MaxIndexed/2)
	for name, c := range map[string]struct {
		accesses, stored []string
		fits             bool
	}{
		"nothing":                {nil, nil, true},
		"as long as it may be":   {[]string{edge}, nil, true},
		"longer":                 {[]string{"a", long}, []string{"a"}, false},
		"longer, and had before": {[]string{"a", long}, []string{"b", long}, true},
		"another one, as long":   {[]string{long, long + "x"}, []string{long}, false},
	} {
		if err := fit(c.accesses, c.stored); (err == nil) != c.fits {
			t.Errorf("%s: %v", name, err)
		}
	}
}
