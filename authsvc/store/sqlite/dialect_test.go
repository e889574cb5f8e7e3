package sqlite

import (
	"slices"
	"testing"
)

func TestRebind(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		`select 1`:                                        `select 1`,
		`a = $1 and b = $12 or c = $1`:                    `a = ?1 and b = ?12 or c = ?1`,
		`u in (x) and s = any($2)`:                        `u in (x) and s in (select value from json_each(?2))`,
		`a = any(array(select b from c)) and d = any($1)`: `a in (select b from c) and d in (select value from json_each(?1))`,
		`order by a collate "C", b`:                       `order by a collate binary, b`,
		`'{$}' || $1`:                                     `'{$}' || ?1`,
	} {
		if got := (dialect{}).Rebind(query); got != want {
			t.Errorf("Rebind(%q) = %q, want %q", query, got, want)
		}
	}
}

func TestScanList(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		`[]`:                       {},
		`["a", "b", "a"]`:          {"a", "b", "a"},
		`["null", "\u00e9", "\""]`: {"null", "é", `"`},
		`[null, "a", null]`:        {"a"},
		`null`:                     {},
	} {
		for _, src := range []any{text, []byte(text)} {
			var got []string
			if err := (dialect{}).ScanList(&got).Scan(src); err != nil || got == nil || !slices.Equal(got, want) {
				t.Errorf("%s: %#v, %v", text, got, err)
			}
		}
	}
	for _, src := range []any{nil, int64(1), ``, `{}`, `["a"`, `[1]`, `"a"`} {
		var got []string
		if err := (dialect{}).ScanList(&got).Scan(src); err == nil {
			t.Errorf("%v was read as %q", src, got)
		}
	}
}
