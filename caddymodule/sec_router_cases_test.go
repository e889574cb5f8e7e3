package caddymodule

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/wazo-edge/xivo-auth/authsvc/routes"
)

// The routes of P7. Literals stand beside parameters of every kind, below
// other literals and parameters, and with other methods than they.
var routerRules = []routerRule{
	{"GET", "/1.1/users", "p.users.read"},
	{"POST", "/1.1/users", "p.users.create"},
	{"GET", "/1.1/users/<uuid:user_uuid>", "p.users.{user_uuid}.read"},
	{"DELETE", "/1.1/users/<uuid:user_uuid>", "p.users.{user_uuid}.delete"},
	{"GET", "/1.1/users/me", "p.users.self.read"},
	{"GET", "/1.1/users/<uuid:user_uuid>/lines", "p.users.{user_uuid}.lines.read"},
	{"GET", "/1.1/users/all/<string:kind>", "p.all.{kind}.read"},
	{"GET", "/1.1/lines/<int:line_id>", "p.lines.{line_id}.read"},
	{"PUT", "/1.1/lines/<int:line_id>", "p.lines.{line_id}.update"},
	{"GET", "/1.1/lines/first", "p.lines.first.read"},
	{"GET", "/1.1/lines/0", "p.zero.read"},
	{"GET", "/1.1/lines/<int:line_id>/ext/<string:exten>", "p.lines.{line_id}.ext.{exten}.read"},
	{"GET", "/1.1/lines/0/ext/all", "p.zero.ext.read"},
	{"GET", "/1.1/names/<string:name>", "p.names.{name}.read"},
	{"DELETE", "/1.1/names/<string:name>", "p.names.{name}.delete"},
	{"GET", "/1.1/names/public", "public"},
	{"GET", "/1.1/names/x.y", "p.dotted.read"},
	{"GET", "/1.1/names/<string:name>/<string:sub>", "p.names.{name}.{sub}.read"},
	{"GET", "/1.1/names/public/open", "public"},
	{"GET", "/1.1/Names/<string:name>", "p.upper.{name}.read"},
	{"GET", "/1.1/status", "public"},
	{"GET", "/1.1/session", "token"},
	{"GET", "/1.1/mixed/<int:id>/<uuid:u>/<string:s>", "p.mixed.{id}.{u}.{s}.read"},
	{"GET", "/1.1/\u00e9t\u00e9/<string:s>", "p.summer.{s}.read"},
	{"GET", "/1.1/dir/", "p.dir.read"},
}

// routerRule is a rule in werkzeug's words.
type routerRule struct{ Method, Rule, Needs string }

// MarshalJSON is for routed.py.
func (r routerRule) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"method": r.Method, "rule": r.Rule, "needs": r.Needs})
}

// template is the rule in ours.
func (r routerRule) template() (template string, types map[string]routes.Type) {
	types = map[string]routes.Type{}
	for seg := range strings.SplitSeq(r.Rule[1:], "/") {
		template += "/"
		if converter, name, is := strings.Cut(strings.Trim(seg, "<>"), ":"); is {
			template += "{" + name + "}"
			types[name] = map[string]routes.Type{"int": routes.Integer, "uuid": routes.UUID}[converter]
		} else {
			template += seg
		}
	}
	return template, types
}

// routerCorpus are paths that every token is tried on: one value read in two
// ways, of which some token holds only one.
var routerCorpus = []string{
	"/1.1/names/a+%62", "/1.1/names/%61+b", "/1.1/names/a%20b", "/1.1/names/a%2Bb", "/1.1/names/007", "/1.1/names/7", "/1.1/names/" + strings.ToUpper(uuid1), "/1.1/names/" + uuid1,
	"/1.1/lines/007", "/1.1/lines/%307", "/1.1/lines/00", "/1.1/lines/%30", "/1.1/lines/%D9%A7", "/1.1/users/" + strings.ToUpper(uuid1), "/1.1/users/" + strings.ToUpper(uuid2) + "/lines",
	"/1.1/names/x%2Ey", "/1.1/names/x_y", "/1.1/names/x.y", "/1.1/Names/x.y", "/1.1/names/a/b", "/1.1/names/a%2Fb", "/1.1/names/a%252Fb", "/1.1/names/public/open", "/1.1/names/publi%63", "/1.1/users/m%65", "/1.1/users/ME",
}

const (
	uuid1 = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
	uuid2 = "ffffffff-eeee-4ddd-8ccc-bbbbbbbbbbbb"
)

// routerACLs are those of the tokens; nil is no token, and one that is empty a
// token without accesses.
var routerACLs = [][]string{
	{"p.#", "!p.users." + uuid1 + ".#", "!p.lines.7.#", "!p.names.x_y.#", "!p.zero.#", "!p.upper.#", "!p.names.007.#", "!p.names." + strings.ToUpper(uuid1) + ".#"},
	{"p.users.*.read", "p.lines.*.read", "p.lines.*.ext.*.read", "p.names.a.read", "p.names.*.*.read", "!p.names.a.b.read", "!p.lines.42.read", "p.dir.read", "p.names.7.read", "p.names.a b.*"},
	{"p.users." + uuid1 + ".*", "p.users." + uuid2 + ".lines.read", "p.lines.7.#", "p.lines.first.read", "p.dotted.read", "p.summer.#", "p.mixed.7.*.*.read", "p.upper.*.read", "p.names.7.#", "p.names." + uuid1 + ".#"},
	{"p.#"},
	{},
	nil,
}

// A routerCase is a request and what it was made of.
type routerCase struct {
	class    string // "" is as any client spells it
	host     string
	method   string
	prefix   string
	path     string // and query
	token    int    // index of routerACLs
	ordinary bool
}

// caseMaker draws cases. The values are those that a client may well send, and
// those that are something else to one of the two who read them.
type caseMaker struct{ *rand.Rand }

func (m caseMaker) pick(from ...string) string { return from[m.IntN(len(from))] }

func (m caseMaker) value(converter string) (value, class string) {
	odd := m.IntN(100) < 40
	switch {
	case converter == "int" && odd:
		return m.pick("007", "00", "000", "042", "0042", "%30%307", "%D9%A7", "7%D9%A3", "%EF%BC%97", "\u0667", "%C2%B2", "+7", "-7", "7%20", "%207", "7_0", "1e3", "0x7", "7.0", "7.", "first", "fir%73t",
			"99999999999999999999999999", strings.Repeat("0", 300)+"7", "7%0A", "7%00", "me"), "odd int"
	case converter == "int":
		return m.pick("0", "1", "7", "42", "1000", "2147483648"), ""
	case converter == "uuid" && odd:
		return m.pick(strings.ToUpper(uuid1), strings.ToUpper(uuid2), uuid1[:10]+strings.ToUpper(uuid1[10:]), strings.ReplaceAll(uuid1, "-", ""), strings.ReplaceAll(uuid1, "-", "%2D"), "%30"+uuid1[1:],
			"{"+uuid1+"}", "urn:uuid:"+uuid1, uuid1+"%0A", uuid1+"%20", uuid1+".", uuid1[:35], "0A1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4%64", strings.Replace(uuid1, "0", "%EF%BC%90", 1), "ME", "m%65", "all"), "odd uuid"
	case converter == "uuid":
		return m.pick(uuid1, uuid2, "00000000-0000-0000-0000-000000000000", "me"), ""
	case odd:
		return m.pick("%61", "x%2Ey", "x%2ey", "p%75blic", "PUBLIC", "Public", "public%20", "me", "my_session", "%2A", "%23", "%3Fa", "%25", "%252F", "a%2Fb", "a%5Cb", "a%3Bb", "a;b=c", "...", ".a", "a.", "%2e%2e", "..",
			".", "%FF", "%C0%AF", "%E2%80%A8", "%C2%A0", "%C2%85", "a%09", "%EF%BD%81", "%C4%B0", "%C3%9F", "7%D9%A3", "%D9%A3", "\u00e9", "\xe9", "{name}", "%7Bname%7D", "%7B0%7D", "007", "007", strings.ToUpper(uuid1), strings.ToUpper(uuid1), "a+%62", "%61+b", "a%2Bb", "a%0A", "a%0D", "a%00", "a%7F", "\"a\"", "<a>", "|", "^", "`"), "odd text"
	}
	return m.pick("a", "b", "bob", "x.y", "x_y", "public", "open", "first", "all", "lines", "0", "7", "a%20b", "a+b", "a:b", "a@b", "a&b", "a=b", "~a", "a-b", "%C3%A9", "(a)", "a,b", "$", "*", "!a", "'a'"), ""
}

// mutations change what was spelled well.
var mutations = []struct {
	class  string
	mutate func(m caseMaker, segs []string) string
}{
	{"slash at the end", func(_ caseMaker, s []string) string { return join(s) + "/" }},
	{"two slashes", func(m caseMaker, s []string) string { return join(slices.Insert(s, m.IntN(len(s)), "")) }},
	{"dot segment", func(m caseMaker, s []string) string {
		return join(slices.Insert(s, m.IntN(len(s)+1), m.pick(".", "..", "%2e%2e", "%2E", ".%2e")))
	}},
	{"up and down again", func(m caseMaker, s []string) string {
		i := m.IntN(len(s))
		return join(slices.Insert(s, i, m.pick("status", "x", "names"), m.pick("..", "%2e%2e", "..;", "..%2f")))
	}},
	{"matrix parameter", func(m caseMaker, s []string) string {
		i := m.IntN(len(s))
		s[i] += m.pick(";", ";a=b", "%3B", "%3Ba=b")
		return join(s)
	}},
	{"encoded slash", func(m caseMaker, s []string) string {
		i := m.IntN(len(s))
		s[i] += m.pick("%2F", "%2f", "%5C", "\\", "%252F")
		return join(s)
	}},
	{"joined by an encoded slash", func(m caseMaker, s []string) string {
		if len(s) < 2 {
			return join(s)
		}
		i := m.IntN(len(s) - 1)
		s[i] += m.pick("%2F", "%2f", "%5c") + s[i+1]
		return join(slices.Delete(s, i+1, i+2))
	}},
	{"end of text", func(m caseMaker, s []string) string {
		return join(s) + m.pick("%00", "%0A", "%0D", "%20", "%23", "%3F", "%23/../status", "%3F/../../1.1/status", "#", "#/../status", "%09", "%C2%85", "%E2%80%A8")
	}},
	{"a letter encoded", func(m caseMaker, s []string) string {
		i := m.IntN(len(s))
		if seg := s[i]; seg != "" && !strings.Contains(seg, "%") {
			j := m.IntN(len(seg))
			s[i] = seg[:j] + fmt.Sprintf(m.pick("%%%02x", "%%%02X"), seg[j]) + seg[j+1:]
		}
		return join(s)
	}},
	{"a letter encoded twice", func(m caseMaker, s []string) string {
		i := m.IntN(len(s))
		if seg := s[i]; seg != "" && !strings.Contains(seg, "%") {
			j := m.IntN(len(seg))
			s[i] = seg[:j] + fmt.Sprintf("%%25%02X", seg[j]) + seg[j+1:]
		}
		return join(s)
	}},
	{"bad escape", func(m caseMaker, s []string) string { return join(s) + m.pick("%", "%4", "%zz", "%u0061", "%%") }},
	{"other case", func(m caseMaker, s []string) string {
		i := m.IntN(len(s))
		if s[i] == "" || strings.Contains(s[i], "%") {
			return join(s)
		}
		s[i] = m.pick(strings.ToUpper(s[i]), strings.ToLower(s[i]), strings.ToUpper(s[i][:1])+s[i][1:])
		return join(s)
	}},
	{"segment more", func(m caseMaker, s []string) string {
		return join(slices.Insert(s, m.IntN(len(s)+1), m.pick("lines", "ext", "7", uuid1, "public", "1.1", "names")))
	}},
	{"segment less", func(m caseMaker, s []string) string {
		i := m.IntN(len(s))
		return join(slices.Delete(s, i, i+1))
	}},
	{"query", func(m caseMaker, s []string) string {
		return join(s) + m.pick("?x=/1.1/status", "?/../status", "??", "?token="+uuid1, "?x=%00", "?a;b", "?#")
	}},
	{"absolute", func(m caseMaker, s []string) string { return m.pick("http://x", "//x", "http:", "/http://x") + join(s) }},
	{"long", func(m caseMaker, s []string) string {
		return join(s) + m.pick(strings.Repeat("/x", 40), "/"+strings.Repeat("y", 9<<10))
	}},
}

func join(segs []string) string { return "/" + strings.Join(segs, "/") }

func (m caseMaker) next() routerCase {
	r := routerRules[m.IntN(len(routerRules))]
	c := routerCase{method: r.Method, token: m.IntN(len(routerACLs)), ordinary: true}
	add := func(class string) {
		if class != "" {
			c.class, c.ordinary = cmp.Or(c.class, class), false
		}
	}
	var segs []string
	for seg := range strings.SplitSeq(r.Rule[1:], "/") {
		if converter, _, is := strings.Cut(strings.Trim(seg, "<>"), ":"); is {
			value, class := m.value(converter)
			add(class)
			seg = value
		}
		segs = append(segs, strings.ReplaceAll(seg, "\u00e9t\u00e9", "%C3%A9t%C3%A9"))
	}
	c.path = join(segs)
	if m.IntN(100) < 45 {
		mutation := mutations[m.IntN(len(mutations))]
		// What it comes to may be as good as before, but no client is asked
		// to spell it so.
		c.class, c.ordinary = mutation.class, false
		c.path = mutation.mutate(m, segs)
	}
	switch n := m.IntN(100); {
	case n < 8:
		c.method = "HEAD"
	case n < 18:
		c.method = m.pick("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "X")
	case n < 22:
		c.method = m.pick(strings.ToLower(c.method), c.method[:1]+strings.ToLower(c.method[1:]))
		add("method in lower case")
	}
	c.host = m.pick("deny", "public", "token", "below")
	if c.host == "below" {
		c.prefix = "/api/p"
		if m.IntN(100) < 20 {
			c.prefix = m.pick("/API/p", "/api/P", "/api/%70", "/%61pi/p", "/api/p-x", "/api/p.", "/api//p", "/api/x/../p", "/api%2Fp", "/api/p/api/p", "", "/api/p;x")
			add("odd prefix")
		}
	}
	return c
}
