package form

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// MaxBody is the size in bytes of the largest body [ReadJSON] takes.
const MaxBody = 1 << 20

// MaxValues is how many values [ReadJSON] takes in one body, objects and lists
// and what is in them. A value of two bytes may take hundreds in memory, an
// object in particular: bounded by MaxBody alone, a body of 1 MiB took 55, from
// anybody and as often as he liked. Of the bodies that mean something none comes
// close to half of it but a policy with both its lists full.
const MaxValues = 10_000

var (
	// ErrSyntax reports a body that is not JSON, or that a form content type
	// keeps from being read as JSON: the 400 of the "restful" style.
	ErrSyntax = errors.New("body is not JSON")
	// ErrTooLarge reports a body larger than [MaxBody], or than a smaller
	// limit set with [http.MaxBytesReader], or of more than [MaxValues].
	ErrTooLarge = errors.New("body is too large")
)

// ReadJSON decodes a body without believing its content type, except that the
// types of HTML forms are always refused: the historical service has consumed
// such a body as a form by the time it looks for JSON.
//
// The text may be UTF-8, UTF-16 or UTF-32, with or without byte order mark.
// Beyond standard JSON the tokens NaN, Infinity and -Infinity are numbers.
// The result is made of nil, bool, string, [json.Number] (exact, and float64
// for the three tokens only), []any and map[string]any; the last of several
// equal keys wins. A lone surrogate becomes U+FFFD.
//
// Every error wraps [ErrSyntax] or [ErrTooLarge]. A body that cannot be read
// to its end counts as ErrSyntax. Memory is bounded by a few times MaxBody.
func ReadJSON(r io.Reader, contentType string) (any, error) {
	if isForm(contentType) {
		return nil, fmt.Errorf("%w: content type of a form", ErrSyntax)
	}
	data, err := io.ReadAll(io.LimitReader(r, MaxBody+1))
	if _, limited := errors.AsType[*http.MaxBytesError](err); limited || len(data) > MaxBody {
		return nil, ErrTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("%w: reading: %w", ErrSyntax, err)
	}
	text, err := decode(data)
	if err != nil {
		return nil, err
	}
	return parse(text)
}

func isForm(contentType string) bool {
	kind := strings.TrimSpace(contentType)
	if end := strings.IndexAny(kind, ";, \t"); end >= 0 {
		kind = kind[:end]
	}
	switch strings.ToLower(kind) {
	case "application/x-www-form-urlencoded", "application/x-url-encoded", "multipart/form-data":
		return true
	}
	return false
}
