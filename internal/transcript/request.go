package transcript

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

var (
	// expansion finds what is to be replaced in a request.
	expansion = regexp.MustCompile(`\{\{(\w+) ?(.*?)\}\}|\$\$|\$[A-Z][A-Z0-9_]*`)
	// gluedLine is a body line that brings no newline with it.
	gluedLine = regexp.MustCompile(`^\{\{(hex|repeat) [^{}]*\}\}$`)
)

// buildRequest makes the request that lines describe.
func buildRequest(ctx context.Context, lines []string, base string, vars map[string]string) (*http.Request, error) {
	head, body := lines, []string(nil)
	for i, line := range lines {
		if line == "" {
			head, body = lines[:i], lines[i+1:]
			break
		}
	}
	text, err := buildBody(body, vars)
	if err != nil {
		return nil, err
	}
	expanded := make([]string, len(head))
	for i, line := range head {
		if expanded[i], err = expand(line, vars); err != nil {
			return nil, err
		}
	}
	if len(expanded) == 0 {
		return nil, errors.New("empty request")
	}
	method, target, ok := strings.Cut(expanded[0], " ")
	if !ok {
		return nil, fmt.Errorf("method and path expected, not %q", expanded[0])
	}
	req, err := http.NewRequestWithContext(ctx, method, base, strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	if req.URL, err = requestURL(req.URL, target); err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "transcript")
	written := http.Header{}
	for _, line := range expanded[1:] {
		h, err := parseHeader(line)
		if err != nil || h.absent {
			return nil, fmt.Errorf("header expected, not %q", line)
		}
		written.Add(h.name, h.value)
	}
	for name, values := range written {
		switch name {
		case "Content-Length", "Transfer-Encoding", "Trailer":
			return nil, fmt.Errorf("the HTTP client does not let a test choose %s", name)
		case "Host":
			req.Host = values[0]
		default:
			req.Header[name] = values // an empty User-Agent keeps net/http from sending one
		}
	}
	return req, nil
}

// requestURL makes a URL that puts target on the wire byte by byte. net/http
// does so for a RawPath that Go holds to be valid, and for an opaque URL,
// which however must not start with two slashes.
func requestURL(base *url.URL, target string) (*url.URL, error) {
	path, query, question := strings.Cut(target, "?")
	u := &url.URL{Scheme: base.Scheme, Host: base.Host, RawQuery: query, ForceQuery: question && query == ""}
	if unescaped, err := url.PathUnescape(path); err == nil {
		u.Path, u.RawPath = unescaped, path
		if u.EscapedPath() == path {
			return u, nil
		}
	}
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return nil, fmt.Errorf("net/http cannot send the path %q", path)
	}
	u.Path, u.RawPath, u.Opaque = "", "", path
	return u, nil
}

func buildBody(lines []string, vars map[string]string) (string, error) {
	var b strings.Builder
	for i, line := range lines {
		text, err := expand(line, vars)
		if err != nil {
			return "", err
		}
		if i > 0 && !gluedLine.MatchString(line) && !gluedLine.MatchString(lines[i-1]) {
			b.WriteByte('\n')
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// expand fills in captured values and generated text.
func expand(s string, vars map[string]string) (string, error) {
	var failed error
	out := expansion.ReplaceAllStringFunc(s, func(found string) string {
		var text string
		var err error
		switch parts := expansion.FindStringSubmatch(found); {
		case parts[1] != "":
			text, err = call(parts[1], parts[2], vars)
		case found == "$$":
			text = "$"
		default:
			var ok bool
			if text, ok = vars[found[1:]]; !ok {
				err = fmt.Errorf("%s was never captured", found)
			}
		}
		if failed == nil {
			failed = err
		}
		return text
	})
	return out, failed
}

func call(name, argument string, vars map[string]string) (string, error) {
	argument, err := expand(argument, vars)
	if err != nil {
		return "", err
	}
	switch name {
	case "basic":
		user, password, _ := strings.Cut(argument, " ")
		return base64.StdEncoding.EncodeToString([]byte(user + ":" + password)), nil
	case "base64":
		return base64.StdEncoding.EncodeToString([]byte(argument)), nil
	case "hex":
		raw, err := hex.DecodeString(strings.ReplaceAll(argument, " ", ""))
		return string(raw), err
	case "repeat":
		count, text, _ := strings.Cut(argument, " ")
		n, err := strconv.Atoi(count)
		if err != nil || n < 0 || n*len(text) > 64<<20 {
			return "", fmt.Errorf("{{repeat %s}}: count expected, for no more than 64 MiB", argument)
		}
		var all strings.Builder
		for i := range n {
			all.WriteString(strings.ReplaceAll(text, "%d", strconv.Itoa(i+1)))
		}
		return all.String(), nil
	}
	return "", fmt.Errorf("{{%s}} is none of basic, base64, hex, repeat", name)
}
