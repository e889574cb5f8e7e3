package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// listing declares how a resource is listed; the query is built from it and a
// [store.List], the same way for every resource. All of it is program text:
// nothing a client sends gets into a statement but as an argument.
type listing[T any] struct {
	columns string // what scan reads
	from    string // tables and joins
	// tenant is the condition that a row is of tenant $1, below that it is of
	// a tenant in below. Both see the tables above and below; see sqlTree.
	tenant, below string
	user, group   string            // the condition that a row is of user, or group, %s
	key           string            // unique, so that the order is total
	search        []string          // conditions that a text is like %s, lower-cased
	filters       map[string]string // conditions that something is %s, by name
	orders        map[string]string // columns by the name of the order
	scan          func(*sql.Rows) (T, error)
}

// like is the condition that column is like %s. What LIKE makes of % and _ is
// left as it is on the reference.
func like(column string) string { return "lower(" + column + `) like lower(%s) escape '\'` }

// sqlBelow are the tenant $1 and all below it. Union, and not union all, ends
// at a cycle that somebody made by hand.
const sqlBelow = `with recursive below (uuid) as (
	select cast($1 as text)
	union
	select t.uuid from auth_tenant t join below b on t.parent_uuid = b.uuid
)
`

// anyBelow are the tenants in below. As a list, it is known before the rows are
// looked for, which are found by their index; as a set that nobody knows the
// size of, Postgres would read the table whole to join it.
const anyBelow = `any(array(select uuid from below))`

// sqlTree is sqlBelow with the tenants that $1 is below, as above.
const sqlTree = `with recursive below (uuid) as (
	select cast($1 as text)
	union
	select t.uuid from auth_tenant t join below b on t.parent_uuid = b.uuid
), above (uuid) as (
	select t.parent_uuid from auth_tenant t where t.uuid = $1 and t.parent_uuid <> t.uuid
	union
	select t.parent_uuid from auth_tenant t join above a on t.uuid = a.uuid and t.parent_uuid <> t.uuid
)
`

// query is a statement with its arguments under construction.
type query struct {
	dialect Dialect
	text    strings.Builder
	args    []any
}

// arg adds an argument and returns its placeholder.
func (q *query) arg(v any) string {
	if list, ok := v.([]string); ok {
		v = q.dialect.List(list)
	}
	q.args = append(q.args, v)
	return "$" + strconv.Itoa(len(q.args))
}

// scope returns the conditions for the rows a list is about.
func (l *listing[T]) scope(q *query, want store.List) (where []string) {
	q.args = q.args[:0]
	if !want.Everywhere {
		condition := l.tenant
		if want.Recurse {
			condition = l.below
		}
		where = append(where, condition)
		q.arg(want.Tenant)
		switch {
		case strings.Contains(condition, " from above"):
			q.text.WriteString(sqlTree)
		case want.Recurse:
			q.text.WriteString(sqlBelow)
		}
	}
	if want.User != "" {
		where = append(where, fmt.Sprintf(l.user, q.arg(want.User)))
	}
	if want.Group != "" {
		where = append(where, fmt.Sprintf(l.group, q.arg(want.Group)))
	}
	return where
}

// narrow returns the conditions of search and filters.
func (l *listing[T]) narrow(q *query, want store.List) []string {
	var where []string
	if want.Search != nil && len(l.search) > 0 {
		// The words in their order with anything between.
		pattern := q.arg("%" + strings.Join(strings.Fields(*want.Search), "%") + "%")
		var found []string
		for _, condition := range l.search {
			found = append(found, fmt.Sprintf(condition, pattern))
		}
		where = append(where, "("+strings.Join(found, " or ")+")")
	}
	for _, name := range slices.Sorted(maps.Keys(want.Filters)) { // the same statement each time
		where = append(where, l.filter(q, name, want.Filters[name]))
	}
	return where
}

// filter is the condition of one filter. Its %[1]s is the value, wherever it
// stands.
func (l *listing[T]) filter(q *query, name string, value any) string {
	if t, ok := value.(time.Time); ok {
		value = instantText(t)
	}
	return fmt.Sprintf(l.filters[name], q.arg(value))
}

// list reads one page: one statement for the counts, one for the items unless
// there are none to read.
func list[T any](ctx context.Context, s *Store, op string, l *listing[T], want store.List) (store.Page[T], error) {
	if err := l.check(op, want); err != nil {
		return store.Page[T]{}, err
	}
	page := store.Page[T]{Items: []T{}}
	err := s.call(ctx, op, read, func(ctx context.Context) error {
		q := query{dialect: s.dialect}
		scope := strings.Join(l.scope(&q, want), " and ")
		hits := strings.Join(append([]string{scope}, l.narrow(&q, want)...), " and ")
		fmt.Fprintf(&q.text, "select (select count(*) from %[1]s where %[2]s), (select count(*) from %[1]s where %[3]s)", l.from, scope, hits)
		err := s.db.QueryRowContext(ctx, s.dialect.Rebind(q.text.String()), q.args...).Scan(&page.Total, &page.Filtered)
		if err != nil || page.Filtered == 0 || want.Offset >= int64(page.Filtered) || want.Limit != nil && *want.Limit == 0 {
			return err
		}

		q = query{dialect: s.dialect}
		where := append(l.scope(&q, want), l.narrow(&q, want)...)
		fmt.Fprintf(&q.text, "select %s from %s where %s order by %s", l.columns, l.from, strings.Join(where, " and "), l.order(want))
		if want.Limit != nil {
			q.text.WriteString(" limit cast(" + q.arg(*want.Limit) + " as bigint)")
		} else if want.Offset > 0 {
			q.text.WriteString(" limit cast(" + q.arg(int64(1)<<62) + " as bigint)") // SQLite has no offset without a limit
		}
		if want.Offset > 0 {
			q.text.WriteString(" offset cast(" + q.arg(want.Offset) + " as bigint)")
		}
		page.Items, err = collect(ctx, s.db, l.scan, s.dialect.Rebind(q.text.String()), q.args...)
		return err
	})
	if err != nil {
		return store.Page[T]{}, err
	}
	return page, nil
}

// check refuses words no resource of this kind has: a mistake of the caller,
// who checks what clients send.
func (l *listing[T]) check(op string, want store.List) error {
	if _, ok := l.orders[want.Order]; !ok && want.Order != "" {
		return fmt.Errorf("%s: %w: no order %q", op, store.ErrInvalid, want.Order)
	}
	for name, value := range want.Filters {
		if _, ok := l.filters[name]; !ok {
			return fmt.Errorf("%s: %w: no filter %q", op, store.ErrInvalid, name)
		}
		texts, _ := value.([]string)
		if text, ok := value.(string); ok {
			texts = []string{text}
		}
		for _, text := range texts {
			if err := storable(op, "the filter "+name, text); err != nil {
				return err
			}
		}
	}
	if want.Everywhere && want.User == "" && want.Group == "" {
		return fmt.Errorf("%s: %w: no scope", op, store.ErrInvalid)
	}
	if want.User != "" && l.user == "" || want.Group != "" && l.group == "" {
		return fmt.Errorf("%s: %w: no list of one user or group", op, store.ErrInvalid)
	}
	if want.Offset < 0 || want.Limit != nil && *want.Limit < 0 {
		return fmt.Errorf("%s: %w: a negative limit or offset", op, store.ErrInvalid)
	}
	if want.Search != nil && !searchable(*want.Search) {
		return fmt.Errorf("%s: %w: the search is not UTF-8 text without NUL", op, store.ErrInvalid)
	}
	return storable(op, "tenant", want.Tenant, "user", want.User, "group", want.Group)
}

func (l *listing[T]) order(want store.List) string {
	column, ok := l.orders[want.Order]
	if !ok {
		return l.key
	}
	// Where Postgres has NULL anyway, said for databases that do otherwise.
	if want.Descending {
		column += " desc nulls first"
	} else {
		column += " nulls last"
	}
	return column + ", " + l.key
}
