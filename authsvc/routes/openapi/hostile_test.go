package openapi

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Whatever a file does, reading it ends soon and does not panic.
func TestImport_Hostile(t *testing.T) {
	t.Parallel()
	const head = "swagger: '2.0'\n"
	laughs := "a0: &a0 {get: {description: x}}\n"
	for i := 1; i < 9; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	var merges strings.Builder
	merges.WriteString("m0: &m0 {get: {description: x}}\n")
	for i := 1; i < 20; i++ {
		fmt.Fprintf(&merges, "m%d: &m%d {<<: [%s]}\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*m%d,", i-1), 9), ","))
	}
	long := strings.Repeat("Required ACL: `x.y` ", 1<<15)
	var same strings.Builder
	fmt.Fprintf(&same, "z: &z\n  get: {description: \"%s\"}\npaths:\n", strings.Repeat("Required ACL ", maxProse/14))
	for i := range 10_000 {
		fmt.Fprintf(&same, "  /%d: *z\n", i)
	}
	var wide strings.Builder
	wide.WriteString("z: &z\n  parameters: &p [" + strings.Repeat("{in: path, name: n},", 10_000) + "]\n  get: {parameters: *p}\n  put: {parameters: *p}\npaths:\n")
	for i := range 10_000 {
		fmt.Fprintf(&wide, "  /%d: *z\n", i)
	}
	for _, c := range []struct{ name, file, err string }{
		{"laughs", head + laughs + "paths: {/a: *a8, /b: *a0}\n", ""},
		{"laughs in parameters", head + laughs + "paths: {/a: {parameters: *a8, get: {description: 'Required ACL: `a.b`'}}}\n", ""},
		{"merges", head + merges.String() + "paths: {/a: *m19}\n", ""},
		{"merge of itself", head + "paths: &p {<<: *p, /a: {get: {}}}\n", ""},
		{"anchor in itself", head + "paths: &p {/a: *p, /b: {get: *p}}\n", ""},
		{"one long text for many", head + same.String(), "more than can be read"},
		{"many parameters for many", head + wide.String(), "more than can be read"},
		{"long text", head + "paths: {/a: {get: {description: '" + long + "'}}}\n", ""},
		{"too large", head + "x: '" + strings.Repeat("x", maxSize) + "'\n", "larger than 4 MiB"},
		{"deep flow", head + "x: " + strings.Repeat("[", 1<<20) + "\n", "depth"},
		{"deep JSON", strings.Repeat("[", 1<<20), "depth"},
		{"deep JSON objects", strings.Repeat(`{"a":`, 1<<19), "depth"},
		{"deep blocks", head + "x:\n" + blocks(2000), ""},
		{"comments", head + strings.Repeat("# x\n", 1<<19) + "paths: {}\n", ""},
		{"colons", head + strings.Repeat(": ", 1<<20), "line"},
		{"dashes", head + strings.Repeat("- ", 1<<19), "line"},
		{"question marks", strings.Repeat("? ", 1<<19), ""},
		{"ampersands", strings.Repeat("&a ", 1<<19), "yaml: "},
		{"many operations", head + "paths:\n" + manyPaths(maxOperations+1), "more than 16384 operations"},
		{"long base", head + "basePath: /" + strings.Repeat("x", maxBase) + "\npaths: {}\n", "line 2: the base path is longer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, err := Import([]byte(c.file))
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("it took %v", took)
			} else {
				t.Logf("%v: %.120v", took, err)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("error %.200v, want %q", err, c.err)
			}
		})
	}
}

func blocks(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i+1) + "a:\n")
	}
	return b.String()
}

func manyPaths(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  /%d: {get: {}}\n", i)
	}
	return b.String()
}
