package caddymodule

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// selector is a metric that an expression of PromQL reads, with what it says
// about its labels.
type selector struct {
	metric   string
	matchers []matcher
}

type matcher struct{ label, op, value string }

var (
	promToken = regexp.MustCompile(`^(?:[a-zA-Z_:][a-zA-Z0-9_:]*|[0-9][0-9.]*(?:e[+-]?[0-9]+)?[a-z]*|"(?:[^"\\]|\\.)*"|\$[a-zA-Z_]+|=~|!~|!=|==|>=|<=|[-+*/%^<>={}()\[\],])`)
	promWord  = regexp.MustCompile(`^[a-zA-Z_:]`)

	promFunctions   = []string{"rate", "increase", "changes", "histogram_quantile", "time"}
	promAggregators = []string{"sum", "max", "min", "avg", "count"}
	promOperators   = []string{"and", "or", "unless", "bool"}
	promModifiers   = []string{"by", "without", "on", "ignoring", "group_left", "group_right"}
)

// readPromQL finds the metrics in an expression, and the labels that it groups
// or joins by. It knows what ours consist of and refuses everything else, so a
// function it has not met needs a line above.
func readPromQL(expr string) (selectors []selector, labels []string, err error) {
	var tokens []string
	for rest := strings.TrimSpace(expr); rest != ""; rest = strings.TrimSpace(rest) {
		token := promToken.FindString(rest)
		if token == "" {
			return nil, nil, fmt.Errorf("what is %q", rest)
		}
		tokens, rest = append(tokens, token), rest[len(token):]
	}
	depth := 0
	at := func(i int) string {
		if i < len(tokens) {
			return tokens[i]
		}
		return ""
	}
	for i := 0; i < len(tokens); i++ {
		token, next := tokens[i], at(i+1)
		switch {
		case token == "(":
			depth++
		case token == ")":
			depth--
		case token == "[":
			for ; at(i) != "]"; i++ {
				if at(i) == "" {
					return nil, nil, fmt.Errorf("a range has no end")
				}
			}
		case !promWord.MatchString(token):
		case slices.Contains(promFunctions, token):
			if next != "(" {
				return nil, nil, fmt.Errorf("%s is a function, and %q no argument", token, next)
			}
		case slices.Contains(promAggregators, token):
			if next != "(" && next != "by" && next != "without" {
				return nil, nil, fmt.Errorf("%s of %q", token, next)
			}
		case slices.Contains(promOperators, token):
		case slices.Contains(promModifiers, token):
			for i += 2; at(i) != ")"; i++ {
				if !promWord.MatchString(at(i)) && at(i) != "," {
					return nil, nil, fmt.Errorf("%s: %q is no label", token, at(i))
				}
				if at(i) != "," {
					labels = append(labels, at(i))
				}
			}
		case next == "(":
			return nil, nil, fmt.Errorf("unknown function %s", token)
		default:
			s := selector{metric: token}
			if next == "{" {
				for i += 2; at(i) != "}"; i += 3 {
					m := matcher{at(i), at(i + 1), strings.Trim(at(i+2), `"`)}
					if at(i+3) != "," && at(i+3) != "}" || !promWord.MatchString(m.label) || !slices.Contains([]string{"=", "!=", "=~", "!~"}, m.op) || !strings.HasPrefix(at(i+2), `"`) {
						return nil, nil, fmt.Errorf("%s: %q is no matcher", token, m)
					}
					s.matchers = append(s.matchers, m)
					if at(i+3) == "," {
						i++
					}
				}
			}
			selectors = append(selectors, s)
		}
		if depth < 0 {
			return nil, nil, fmt.Errorf("a parenthesis too many")
		}
	}
	if depth != 0 || len(selectors) == 0 {
		return nil, nil, fmt.Errorf("%d parentheses are open, %d metrics", depth, len(selectors))
	}
	return selectors, labels, nil
}

// exposition is what a server exports: the values of each label of each metric.
type exposition map[string]map[string]map[string]bool

var (
	promLine  = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+$`)
	promLabel = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"`)
)

func readExposition(t *testing.T, text string) exposition {
	t.Helper()
	all := exposition{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		m := promLine.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("what is %q", line)
		}
		if all[m[1]] == nil {
			// What Prometheus says of every target by itself.
			all[m[1]] = map[string]map[string]bool{"instance": {}, "job": {"xivo-auth": true}}
		}
		for _, l := range promLabel.FindAllStringSubmatch(m[2], -1) {
			if all[m[1]][l[1]] == nil {
				all[m[1]][l[1]] = map[string]bool{}
			}
			all[m[1]][l[1]][l[2]] = true
		}
	}
	return all
}

// mistakes lists what an expression asks for and nobody exports.
func (e exposition) mistakes(expr string) (mistakes []string) {
	selectors, labels, err := readPromQL(expr)
	if err != nil {
		return []string{err.Error()}
	}
	for _, s := range selectors {
		have, ok := e[s.metric]
		if !ok {
			mistakes = append(mistakes, "no metric "+s.metric)
			continue
		}
		for _, m := range s.matchers {
			values, ok := have[m.label]
			if !ok {
				mistakes = append(mistakes, s.metric+" has no label "+m.label)
				continue
			}
			if strings.HasPrefix(m.value, "$") {
				continue // chosen on the dashboard
			}
			wanted := []string{m.value}
			if strings.HasSuffix(m.op, "~") {
				wanted = strings.Split(m.value, "|")
			}
			for _, value := range wanted {
				if !values[value] {
					mistakes = append(mistakes, fmt.Sprintf("%s: %s is never %q but one of %q", s.metric, m.label, value, slices.Sorted(maps.Keys(values))))
				}
			}
		}
	}
	for _, label := range labels {
		if !slices.ContainsFunc(selectors, func(s selector) bool { return e[s.metric][label] != nil }) {
			mistakes = append(mistakes, "nothing has the label "+label)
		}
	}
	return mistakes
}

// The check checks: each mistake in an expression is found.
func TestPromQL(t *testing.T) {
	t.Parallel()
	e := readExposition(t, `# HELP a_total x
a_total{state="up",kind="x y"} 1
a_total{state="down",kind="\"{,}\""} 2.5e+06
b 0
`)
	for expr, want := range map[string]string{
		`sum by (state) (rate(a_total{state=~"up|down", kind!="x y"}[5m])) / ignoring (kind) b > 0.5`: "",
		`sum(a_total{instance=~"$instance", job="xivo-auth"}) and b == 0`:                             "",
		`rate(a_totals[5m])`:             `no metric a_totals`,
		`a_total{stat="up"}`:             `has no label stat`,
		`a_total{state="gone"}`:          `state is never "gone" but one of ["down" "up"]`,
		`a_total{state=~"up|gone"}`:      `is never "gone"`,
		`sum by (status) (a_total)`:      `nothing has the label status`,
		`b{state="up"}`:                  `b has no label state`,
		`irate(b[5m])`:                   `unknown function irate`,
		`(b`:                             `1 parentheses are open`,
		`b)`:                             `a parenthesis too many`,
		`rate b`:                         `no argument`,
		`b[5m`:                           `a range has no end`,
		`a_total{state~"up"}`:            `what is`,
		`a_total{state="up" kind="x y"}`: `is no matcher`,
		`1 + 2`:                          `0 metrics`,
		`sum by ("state") (a_total)`:     `is no label`,
		`sum b`:                          `sum of "b"`,
		`a_total{state="up"`:             `is no matcher`,
	} {
		got := strings.Join(e.mistakes(expr), "; ")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}
