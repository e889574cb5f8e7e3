package transcript

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const (
	uuidPattern = `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`
	timePattern = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d`
	// Nine digits and more: a zero or a duration is no time.
	floatPattern = `[1-9]\d{8,}(?:\.\d+)?`
	names        = `<(?:uuid|float|localtime|utctime|any)>`
)

var (
	mark   = regexp.MustCompile(`\$?` + names + `|\$\(no body\)|\$\$|\$[A-Z][A-Z0-9_]*`)
	marked = map[string]string{
		"<uuid>":      uuidPattern,
		"<float>":     floatPattern,
		"<localtime>": timePattern + `(?:\.\d{6})?`,
		"<utctime>":   timePattern + `\.\d{6}`,
		"<any>":       `.*?`,
		"$$":          `\$`,
	}
	unixTime = regexp.MustCompile(`^[1-9]\d{9}(?:\.\d+)?$`)
	special  = regexp.MustCompile(`\$|\(no body\)|` + names)
)

// minCapture is the length from which an update looks for a captured value:
// a short one turns up by chance.
const minCapture = 8

// matcher compares, captures, and writes down what does not match. The three
// are one: an expectation is turned into the text that would have matched,
// keeping every part that does match, and if nothing changed it was met.
type matcher struct {
	vars  map[string]string
	scrub bool // write placeholders for what varies, rather than what is there
}

// merge returns the received value with those parts replaced by the
// expectation that meet it; want is nil where nothing is expected. The key is
// the one under which the value stands.
func (m *matcher) merge(want, got *node, key string) *node {
	if want != nil && want.kind == placeholder && m.value(want.text, got) {
		return want
	}
	same := want != nil && want.kind == got.kind
	switch got.kind {
	case object:
		out := &node{kind: object}
		used := map[int]bool{}
		for i, name := range got.keys {
			var child *node
			written := m.write(name, "", m.scrub)
			if same {
				for j, template := range want.keys {
					if !used[j] && m.text(template, name) {
						used[j], written, child = true, template, want.items[j]
						break
					}
				}
			}
			out.keys = append(out.keys, written)
			out.items = append(out.items, m.merge(child, got.items[i], name))
		}
		return out
	case array:
		out := &node{kind: array}
		for i, item := range got.items {
			var child *node
			if same && i < len(want.items) {
				child = want.items[i]
			}
			out.items = append(out.items, m.merge(child, item, key))
		}
		return out
	case str:
		if same && m.text(want.text, got.text) {
			return want
		}
		return &node{kind: str, text: m.write(got.text, key, m.scrub)}
	}
	if same && want.text == got.text {
		return want
	}
	if m.scrub && unixTime.MatchString(got.text) {
		return &node{kind: placeholder, text: "<float>"}
	}
	return got
}

// value matches a placeholder outside quotes.
func (m *matcher) value(template string, got *node) bool {
	return template == "<any>" || got.kind == literal && m.text(template, got.text)
}

// text matches a template and captures what it names.
func (m *matcher) text(template, got string) bool {
	marks := mark.FindAllStringIndex(template, -1)
	if marks == nil {
		return template == got
	}
	var pattern strings.Builder
	var captures []string
	end := 0
	pattern.WriteString(`(?s)\A`)
	for _, at := range marks {
		pattern.WriteString(regexp.QuoteMeta(template[end:at[0]]))
		word := template[at[0]:at[1]]
		end = at[1]
		switch value, known := m.vars[word[1:]]; {
		case marked[word] != "":
			pattern.WriteString(marked[word])
		case word[1] == '<' || word[1] == '(':
			pattern.WriteString(regexp.QuoteMeta(word[1:]))
		case known:
			pattern.WriteString(regexp.QuoteMeta(value))
		default:
			pattern.WriteString(`(.+?)`)
			captures = append(captures, word[1:])
		}
	}
	pattern.WriteString(regexp.QuoteMeta(template[end:]) + `\z`)
	re, err := regexp.Compile(pattern.String())
	if err != nil { // a captured value or body that is not UTF-8
		return false
	}
	found := re.FindStringSubmatch(got)
	if found == nil {
		return false
	}
	captured := map[string]string{}
	for i, name := range captures {
		if earlier, twice := captured[name]; twice && earlier != found[i+1] {
			return false
		}
		captured[name] = found[i+1]
	}
	maps.Copy(m.vars, captured)
	return true
}

// write turns received text into a template that matches it. What looks like
// a placeholder already is escaped, lest it meet itself in the expectation.
func (m *matcher) write(s, key string, scrub bool) string {
	escape := func(found string) string { return "$" + found }
	if !scrub {
		return special.ReplaceAllStringFunc(s, escape)
	}
	captured := map[string]string{}
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(m.vars))) {
		if value := m.vars[name]; len(value) >= minCapture {
			captured[value] = "$" + name // of several names, the first wins
		}
	}
	values := slices.SortedFunc(maps.Keys(captured), func(a, b string) int {
		return cmp.Or(len(b)-len(a), strings.Compare(a, b)) // the longest match first
	})
	for i, value := range values {
		values[i] = regexp.QuoteMeta(value)
	}
	pattern := strings.Join(append(values, uuidPattern, timePattern+`(?:\.\d{6}\b)?`, special.String()), "|")
	re, err := regexp.Compile(pattern)
	if err != nil { // a captured value that is not UTF-8
		return special.ReplaceAllStringFunc(s, escape)
	}
	return re.ReplaceAllStringFunc(s, func(found string) string {
		switch name := captured[found]; {
		case name != "":
			return name
		case special.MatchString(found):
			return escape(found)
		case len(found) == 36:
			return "<uuid>"
		case strings.HasPrefix(key, "utc_") && strings.Contains(found, "."):
			return "<utctime>"
		}
		return "<localtime>"
	})
}
