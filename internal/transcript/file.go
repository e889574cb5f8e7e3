package transcript

import (
	"fmt"
	"regexp"
	"strings"
)

// step is a directive or an exchange.
type step struct {
	line      int
	directive []string
	exchange  *exchange
}

type exchange struct {
	line     int      // of the request, counting from 1
	request  []string // lines without their mark
	response *response
	// The lines to replace when updating: [first, end), counting from 0;
	// empty, and after the request, when there is no response yet.
	first, end int
}

// response is a block of < lines.
type response struct {
	status  string
	headers []headerLine
	body    []string // nil: unchecked
	empty   bool     // (no body)
}

type headerLine struct {
	name   string
	value  string
	absent bool // !Name
}

const noBody = "(no body)"

var (
	statusLine = regexp.MustCompile(`^[1-9]\d\d$`)
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
)

// parse reads a file. Only an update has a use for requests that nothing
// answers yet. Errors start with the line number and a colon.
func parse(content string, update bool) ([]step, error) {
	var steps []step
	lines := strings.Split(content, "\n")
	for i := 0; i < len(lines); {
		line := lines[i]
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			i++
		case strings.HasPrefix(line, "@ "):
			words := strings.Fields(line[2:])
			if len(words) == 0 {
				return nil, fmt.Errorf("%d: empty directive", i+1)
			}
			steps = append(steps, step{line: i + 1, directive: words})
			i++
		case strings.HasPrefix(line, ">"):
			e := &exchange{line: i + 1}
			var err error
			if e.request, i, err = block(lines, i, ">"); err != nil {
				return nil, err
			}
			e.first, e.end = i, i
			j := i
			for j < len(lines) && (lines[j] == "" || strings.HasPrefix(lines[j], "#")) {
				j++
			}
			switch {
			case j < len(lines) && strings.HasPrefix(lines[j], "<"):
				e.first = j
				var text []string
				if text, i, err = block(lines, j, "<"); err != nil {
					return nil, err
				}
				e.end = i
				if e.response, err = parseResponse(text); err != nil {
					return nil, fmt.Errorf("%d: %w", j+1, err)
				}
			case !update:
				return nil, fmt.Errorf("%d: request without response (-update writes one)", e.line)
			}
			steps = append(steps, step{line: e.line, exchange: e})
		case strings.HasPrefix(line, "<"):
			return nil, fmt.Errorf("%d: response without request", i+1)
		default:
			return nil, fmt.Errorf("%d: a line starts with #, @, > or <", i+1)
		}
	}
	return steps, nil
}

// block returns the run of marked lines at i without their mark, and what
// follows it.
func block(lines []string, i int, mark string) ([]string, int, error) {
	var text []string
	for ; i < len(lines) && strings.HasPrefix(lines[i], mark); i++ {
		line := lines[i][len(mark):]
		if line != "" && line[0] != ' ' {
			return nil, i, fmt.Errorf("%d: space expected after %s", i+1, mark)
		}
		text = append(text, strings.TrimPrefix(line, " "))
	}
	return text, i, nil
}

func parseResponse(text []string) (*response, error) {
	r := &response{status: strings.TrimSpace(text[0])}
	if !statusLine.MatchString(r.status) {
		return nil, fmt.Errorf("status expected, not %q", text[0])
	}
	for i, line := range text[1:] {
		rest := text[i+2:]
		switch {
		case line == noBody && len(rest) == 0:
			r.empty = true
			return r, nil
		case line == "" && len(rest) == 0:
			return nil, fmt.Errorf("body or %s expected at the end", noBody)
		case line == "" && len(rest) == 1 && rest[0] == noBody:
			r.empty = true
			return r, nil
		case line == "":
			r.body = rest
			return r, nil
		}
		h, err := parseHeader(line)
		if err != nil {
			return nil, err
		}
		r.headers = append(r.headers, h)
	}
	return r, nil
}

func parseHeader(line string) (headerLine, error) {
	if name, ok := strings.CutPrefix(line, "!"); ok && headerName.MatchString(name) {
		return headerLine{name: name, absent: true}, nil
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok || !headerName.MatchString(name) {
		return headerLine{}, fmt.Errorf("header expected, not %q", line)
	}
	return headerLine{name: name, value: strings.TrimSpace(value)}, nil
}

// rewrite replaces the responses of some exchanges.
func rewrite(content string, edits map[*exchange][]string) string {
	at := map[int]*exchange{}
	for e := range edits {
		at[e.first] = e
	}
	var out []string
	lines := strings.Split(content, "\n")
	for i := 0; i <= len(lines); i++ {
		if e := at[i]; e != nil {
			for _, line := range edits[e] {
				if line == "" {
					out = append(out, "<")
				} else {
					out = append(out, "< "+line)
				}
			}
			if e.first == len(lines) {
				out = append(out, "") // the file did not end with a newline
			}
			i = max(i, e.end)
		}
		if i < len(lines) {
			out = append(out, lines[i])
		}
	}
	return strings.Join(out, "\n")
}
