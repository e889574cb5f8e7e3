package postgres_test

import (
	"database/sql"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

var update = flag.Bool("update", false, "write testdata/schema.golden anew")

// The catalog, one object per line, in an order that does not depend on how
// it was made. Types and defaults are printed by the server itself.
const (
	sqlTables = `select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm') and n.nspname = current_schema() order by c.relname collate "C"`

	sqlColumns = `select a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
	|| case when a.attnotnull then ' not null' else '' end
	|| coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped order by a.attnum`

	sqlConstraints = `select 'constraint ' || conname || ' ' || pg_get_constraintdef(oid)
from pg_constraint where conrelid = to_regclass($1) and contype <> 'n' order by contype = 'p' desc, contype, conname collate "C"`

	sqlIndexes = `select case when i.indisunique then 'unique ' else '' end || 'index ' || c.relname || ' '
	|| substring(pg_get_indexdef(i.indexrelid) from 'USING .*')
from pg_index i join pg_class c on c.oid = i.indexrelid
where i.indrelid = to_regclass($1) and not exists (select 1 from pg_constraint k where k.conindid = i.indexrelid)
order by c.relname collate "C"`

	sqlSequences = `select 'sequence ' || s.sequencename || ' ' || s.data_type || ' from ' || s.start_value || ' by ' || s.increment_by
	|| ' last ' || coalesce(s.last_value::text, 'none') || coalesce(' owned by ' || t.relname || '.' || a.attname, '')
from pg_sequences s
left join pg_depend d on d.objid = to_regclass(s.sequencename)::oid and d.deptype = 'a'
left join pg_class t on t.oid = d.refobjid
left join pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
where s.schemaname = current_schema() order by s.sequencename collate "C"`

	sqlExtensions = `select 'extension ' || extname from pg_extension order by extname collate "C"`

	sqlTriggers = `select 'trigger ' || tgname from pg_trigger where not tgisinternal order by tgname collate "C"`
)

// describe prints tables, sequences and extensions of a database.
func describe(t testing.TB, db *sql.DB) string {
	t.Helper()
	var out strings.Builder
	for _, table := range lines(t, db, sqlTables) {
		out.WriteString("\ntable " + table + "\n")
		for _, query := range []string{sqlColumns, sqlConstraints, sqlIndexes} {
			for _, line := range lines(t, db, query, table) {
				out.WriteString("  " + line + "\n")
			}
		}
	}
	out.WriteString("\n")
	for _, query := range []string{sqlSequences, sqlTriggers, sqlExtensions} {
		for _, line := range lines(t, db, query) {
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}

var anyUUID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// rows prints every row of a database, with uuids as <uuid 1>, <uuid 2>… in
// the order they appear.
func rows(t testing.TB, db *sql.DB) string {
	t.Helper()
	var out strings.Builder
	for _, table := range lines(t, db, sqlTables) {
		for _, row := range lines(t, db, `select r::text from `+table+` r order by 1`) {
			out.WriteString("row " + table + " " + strings.ReplaceAll(row, "\n", `\n`) + "\n")
		}
	}
	seen := map[string]string{}
	return anyUUID.ReplaceAllStringFunc(out.String(), func(id string) string {
		if seen[id] == "" {
			seen[id] = "<uuid " + strconv.Itoa(len(seen)+1) + ">"
		}
		return seen[id]
	})
}

func lines(t testing.TB, db *sql.DB, query string, args ...any) []string {
	t.Helper()
	rs, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rs.Close() }()
	var out []string
	for rs.Next() {
		var line string
		if err := rs.Scan(&line); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		out = append(out, line)
	}
	if err := rs.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out
}

// TestSchemaGolden holds what Migrate makes against a file that was compared
// with the contract (schema.md §1 and §2) line by line.
func TestSchemaGolden(t *testing.T) {
	t.Parallel()
	f := open(t, store.Options{})
	if _, err := f.Store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := "# The database that Migrate makes. Rewritten by go test -update; compare with\n" +
		"# schema.md before committing a change.\n" +
		describe(t, f.DB) + "\n" + rows(t, f.DB)
	golden := filepath.Join("testdata", "schema.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got == string(want) {
		return
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		g, w := "(end)", "(end)"
		if i < len(gotLines) {
			g = gotLines[i]
		}
		if i < len(wantLines) {
			w = wantLines[i]
		}
		if g != w {
			t.Fatalf("line %d:\n got %s\nwant %s", i+1, g, w)
		}
	}
}
