// Package form reads what clients send and says what is wrong with it in the
// words of the historical API (contract: errors.md §3, token.md §2).
//
// A resource declares a [Schema] once: its fields in order, their kinds and
// bounds, and the rules that tie several fields together. [ReadJSON] turns a
// body into plain Go values, [Schema.Load] checks and coerces them into
// [Values], and [Errors] renders what failed in whichever of the historical
// shapes the endpoint uses.
//
// The leniency is that of the Python service, because clients rely on it: a
// number may come as text, an UUID in braces, a null body stands for an empty
// object. What Python answers with a 500 is an ordinary error here.
//
// Schemas are read-only once declared and safe for concurrent use; Values and
// Errors belong to the request that made them.
package form

import "fmt"

// schemaKey is the name under which errors of the whole object are filed.
const schemaKey = "_schema"

// Schema declares the fields of one object.
type Schema struct {
	// Fields are checked, and reported, in this order. Keys of the input
	// that are not declared are ignored.
	Fields []Field
	// Rules run in this order, and only when every field is valid.
	Rules []Rule
}

// Field declares one key of an object.
type Field struct {
	Name string
	Kind Kind
	// Required refuses input without the key.
	Required bool
	// Nullable lets null through as a nil value. The historical service
	// also lets null through wherever the default is null: say so here.
	Nullable bool
	// Default is the value of an absent key, in the Go type the kind
	// produces; nil leaves the zero value.
	Default any
}

// Text declares a key for a text, as filters are.
func Text(name string) Field { return Field{Name: name, Kind: String{}} }

// Rule looks at several fields at once. It returns "" when satisfied, else
// the message, which is filed as a plain string under "_schema".
type Rule func(Values) string

// Kind checks and coerces one value. The kinds of this package are [String],
// [Integer], [Boolean], [UUID], [ListOf] and [Object]; a resource with a
// peculiar type of its own may bring another.
type Kind interface {
	// Load returns the Go value of v, one of the values [ReadJSON]
	// produces, or what is wrong with it. It never sees null.
	Load(v any) (value any, wrong Entry)
}

// Load checks a decoded body, as [ReadJSON] returns it. Errors is nil when
// the input is valid; it does not implement error, so that a nil one cannot
// be mistaken for a failure.
func (s *Schema) Load(input any) (Values, *Errors) {
	object, ok := input.(map[string]any)
	if !ok && !falsy(input) {
		return Values{}, &Errors{Dict{{schemaKey, Messages{"Invalid input type."}}}}
	}
	return s.load(object)
}

func (s *Schema) load(object map[string]any) (Values, *Errors) {
	values := Values{fields: make(map[string]slot, len(s.Fields))}
	var wrong Dict
	for _, f := range s.Fields {
		v, present := object[f.Name]
		value, entry := f.load(v, present)
		if entry != nil {
			wrong = append(wrong, Item{f.Name, entry})
			continue
		}
		values.fields[f.Name] = slot{value, present}
	}
	if wrong != nil {
		return Values{}, &Errors{wrong}
	}

	var broken Messages
	for _, rule := range s.Rules {
		if message := rule(values); message != "" {
			broken = append(broken, message)
		}
	}
	if broken != nil {
		return Values{}, &Errors{Dict{{schemaKey, broken}}}
	}
	return values, nil
}

func (f *Field) load(v any, present bool) (any, Entry) {
	switch {
	case !present && f.Required:
		return nil, required
	case !present:
		return f.Default, nil
	case v == nil && f.Nullable:
		return nil, nil
	case v == nil:
		return nil, notNull
	}
	return f.Kind.Load(v)
}

// slot keeps apart what the client sent and what a default filled in.
type slot struct {
	value   any
	present bool
}

// Values is a valid object. Asking for a field that the schema does not
// declare, or as another type than its kind gives, is a mistake in the
// program and panics; an absent field without default, or null, reads as the
// zero value.
type Values struct{ fields map[string]slot }

// Has reports whether the client sent the key, be it empty or null. A default
// does not count.
func (v Values) Has(name string) bool { return v.slot(name).present }

// Get returns the value, nil when it is null or absent without default.
func (v Values) Get(name string) any { return v.slot(name).value }

// Text returns the value of a [String] or [UUID] field.
func (v Values) Text(name string) string { return as[string](v, name) }

// Int returns the value of an [Integer] field.
func (v Values) Int(name string) int64 { return as[int64](v, name) }

// Bool returns the value of a [Boolean] field.
func (v Values) Bool(name string) bool { return as[bool](v, name) }

// List returns the values of a [ListOf] field.
func (v Values) List(name string) []any { return as[[]any](v, name) }

// Strings returns the values of a [ListOf] field of strings or UUIDs; nil
// when it is null or absent, which an empty list is not.
func (v Values) Strings(name string) []string {
	list := v.List(name)
	if list == nil {
		return nil
	}
	texts := make([]string, len(list))
	for i, item := range list {
		texts[i] = item.(string)
	}
	return texts
}

// Object returns the values of an [Object] field. Of an absent or null one
// only [Values.Has] on the parent tells anything: do not ask it for fields.
func (v Values) Object(name string) Values { return as[Values](v, name) }

func (v Values) slot(name string) slot {
	s, ok := v.fields[name]
	if !ok {
		panic(fmt.Sprintf("form: no field %q in this schema", name))
	}
	return s
}

func as[T any](v Values, name string) (value T) {
	raw := v.slot(name).value
	if raw == nil {
		return value
	}
	value, ok := raw.(T)
	if !ok {
		panic(fmt.Sprintf("form: field %q is a %T, not a %T", name, raw, value))
	}
	return value
}
