package transcript

import (
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
)

// comparison is an expected and a received response in comparable form.
type comparison struct {
	want, got []string
	block     []string // what to write on update
}

func (c *comparison) equal() bool { return slices.Equal(c.want, c.got) }

func (m *matcher) compare(want *response, got *received) *comparison {
	c := &comparison{want: []string{want.status}, got: []string{strconv.Itoa(got.status)}}
	c.block = slices.Clone(c.got)
	seen := map[string]int{}
	for i, h := range want.headers {
		c.want = append(c.want, h.line())
		m.header(c, want.headers[i:], got.header, seen)
	}
	m.body(c, want, got.body)
	return c
}

func (h headerLine) line() string {
	if h.absent {
		return "!" + h.name
	}
	return strings.TrimSuffix(h.name+": "+h.value, " ")
}

// header treats the first of the listed lines, and the values that nobody
// listed when it is the last of its name.
func (m *matcher) header(c *comparison, listed []headerLine, header http.Header, seen map[string]int) {
	h := listed[0]
	key := textproto.CanonicalMIMEHeaderKey(h.name)
	values := header[key]
	index := seen[key]
	seen[key]++
	last := !slices.ContainsFunc(listed[1:], func(o headerLine) bool {
		return textproto.CanonicalMIMEHeaderKey(o.name) == key
	})

	if len(values) == 0 {
		line := headerLine{name: h.name, absent: true}.line()
		if index == 0 {
			c.block = append(c.block, line)
			c.got = append(c.got, line)
		}
		return
	}
	for ; index < len(values); index++ {
		shown, written := h.value, h.value
		if h.absent || index >= seen[key] || !m.text(h.value, values[index]) {
			shown, written = m.write(values[index], "", false), m.write(values[index], "", true)
		}
		c.got = append(c.got, headerLine{name: h.name, value: shown}.line())
		c.block = append(c.block, headerLine{name: h.name, value: written}.line())
		if !last {
			return
		}
	}
}

// body compares JSON as JSON when the expectation is some, else text.
func (m *matcher) body(c *comparison, want *response, got string) {
	if want.body == nil && !want.empty {
		return
	}
	text := strings.Join(want.body, "\n")
	template, err := parseTemplate(text)
	isTemplate := err == nil && !want.empty
	actual, err := parseActual(got)
	isJSON := err == nil

	var shown, written []string
	expected := want.body
	if want.empty {
		expected = []string{noBody}
	}
	switch {
	case got == "":
		shown, written = []string{noBody}, []string{noBody}
	case isTemplate && isJSON:
		merged := (&matcher{m.vars, false}).merge(template, actual, "")
		expected, shown = template.format(0), merged.format(0)
		if merged.equal(template) {
			written = want.body
		} else {
			written = (&matcher{m.vars, true}).merge(template, actual, "").format(100)
		}
	case !want.empty && m.text(text, got): // as a whole: <any> may span lines
		shown, written = want.body, want.body
	case isJSON:
		shown = (&matcher{m.vars, false}).merge(nil, actual, "").format(0)
		written = (&matcher{m.vars, true}).merge(nil, actual, "").format(100)
	default:
		for i, line := range strings.Split(got, "\n") {
			if i < len(want.body) && m.text(want.body[i], line) {
				shown, written = append(shown, want.body[i]), append(written, want.body[i])
			} else {
				shown, written = append(shown, m.write(line, "", false)), append(written, m.write(line, "", true))
			}
		}
	}

	c.want = addBody(c.want, expected)
	c.got = addBody(c.got, shown)
	c.block = addBody(c.block, written)
}

func addBody(block, body []string) []string {
	if len(body) != 1 || body[0] != noBody {
		block = append(block, "")
	}
	return append(block, body...)
}

// newBlock writes down a response nothing is known about.
func (m *matcher) newBlock(got *received) []string {
	want := &response{status: strconv.Itoa(got.status), empty: true}
	if got.header.Get("Content-Type") != "" {
		want.headers = []headerLine{{name: "Content-Type", absent: true}}
	}
	return m.compare(want, got).block
}
