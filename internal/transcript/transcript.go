package transcript

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// Target is what a transcript is replayed against.
type Target struct {
	// BaseURL gives scheme and host, such as the URL of an httptest.Server;
	// its path is not used.
	BaseURL string
	// Do sends a request. Nil is a plain client that neither follows
	// redirects nor asks for compression. Where a path cannot be written as
	// a Go URL, the request's URL is opaque.
	Do func(*http.Request) (*http.Response, error)
	// Directive carries out a line starting with @. Nil fails the test when
	// there is one. Captured values have been filled in.
	Directive func(t testing.TB, words []string)
	// Vars holds the captured values by name, without dollar. When it is not
	// nil the transcript starts with what it holds, directives may add to
	// it, and it has all captures after the run.
	Vars map[string]string
}

const flagName = "update"

func init() {
	if flag.Lookup(flagName) == nil {
		flag.Bool(flagName, false, "rewrite the responses of transcripts from what was received")
	}
}

// Updating reports whether the test was started with -update, which belongs to
// this package: other golden files of a test that uses it follow this, too.
func Updating() bool {
	value, _ := flag.Lookup(flagName).Value.(flag.Getter)
	update, _ := value.Get().(bool)
	return update
}

// Run replays a file and reports every difference as an error of t. It owns
// the -update flag: a test package that uses Run must not define another.
func Run(t testing.TB, file string, target Target) {
	t.Helper()
	run(t, file, target, Updating())
}

func run(t testing.TB, file string, target Target, update bool) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("transcript: %v", err)
		return
	}
	steps, err := parse(string(content), update)
	if err != nil {
		t.Errorf("%s:%v", file, err)
		return
	}
	p := &player{t: t, file: file, target: target, update: update, vars: target.Vars}
	if p.vars == nil {
		p.vars = map[string]string{}
	}
	if p.target.Do == nil {
		transport := &http.Transport{DisableCompression: true}
		client := &http.Client{
			Transport:     transport,
			Timeout:       time.Minute,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		p.target.Do = client.Do
		defer transport.CloseIdleConnections()
	}

	edits := map[*exchange][]string{}
	for _, s := range steps {
		if s.directive != nil {
			if !p.direct(s) {
				return
			}
			continue
		}
		block, ok := p.play(s.exchange)
		if block != nil {
			edits[s.exchange] = block
		}
		if !ok {
			break
		}
	}
	if len(edits) > 0 {
		if err := os.WriteFile(file, []byte(rewrite(string(content), edits)), 0o644); err != nil {
			t.Errorf("transcript: %v", err)
		}
	}
}

// player is one run of one file.
type player struct {
	t      testing.TB
	file   string
	target Target
	update bool
	vars   map[string]string
}

func (p *player) fail(line int, format string, args ...any) {
	p.t.Helper()
	p.t.Errorf("%s:%d: %s", p.file, line, fmt.Sprintf(format, args...))
}

func (p *player) direct(s step) bool {
	p.t.Helper()
	words := make([]string, len(s.directive))
	for i, word := range s.directive {
		var err error
		if words[i], err = expand(word, p.vars); err != nil {
			p.fail(s.line, "%v", err)
			return false
		}
	}
	if p.target.Directive == nil {
		p.fail(s.line, "nothing carries out the directive @ %s", strings.Join(words, " "))
		return false
	}
	p.target.Directive(p.t, words)
	return true
}

// play sends one request and compares the response. It returns the block to
// write instead of the present one, if any, and whether it makes sense to go on.
func (p *player) play(e *exchange) (block []string, ok bool) {
	p.t.Helper()
	req, err := buildRequest(p.t.Context(), e.request, p.target.BaseURL, p.vars)
	if err != nil {
		p.fail(e.line, "%v", err)
		return nil, false
	}
	got, err := p.send(req)
	if err != nil {
		p.fail(e.line, "%s: %v", e.request[0], err)
		return nil, true
	}
	m := &matcher{vars: p.vars}
	if e.response == nil {
		block = m.newBlock(got)
	} else {
		c := m.compare(e.response, got)
		switch {
		case c.equal():
			return nil, true
		case !p.update:
			p.fail(e.line, "the response differs (- expected, + received)\n%s\n%s",
				indent("> ", e.request), diff(c.want, c.got))
			return nil, true
		}
		block = c.block
	}

	// Not everything can be written down: UUIDs amid bytes that are not UTF-8.
	written, err := parseResponse(block)
	if err == nil {
		check := &matcher{vars: maps.Clone(p.vars)}
		if c := check.compare(written, got); !c.equal() {
			err = fmt.Errorf("what was received has no exact form\n%s", diff(c.want, c.got))
		}
	}
	if err != nil {
		p.fail(e.line, "updating: %v", err)
		return nil, true
	}
	p.t.Logf("%s:%d: updated", p.file, e.line)
	return block, true
}

// received is a response read to its end.
type received struct {
	status int
	header http.Header
	body   string
}

func (p *player) send(req *http.Request) (*received, error) {
	res, err := p.target.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the response: %w", err)
	}
	return &received{res.StatusCode, res.Header, strings.TrimSuffix(string(body), "\n")}, nil
}

func indent(prefix string, lines []string) string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = strings.TrimRight(prefix+cut(line), " ")
	}
	return strings.Join(out, "\n")
}
