package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// WriteText writes the report for people: what is to be settled first, then
// what is worth knowing. Control characters that the files hold do not reach
// the terminal.
func (r *Report) WriteText(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %d operations imported; %d routes: %d with an ACL, %d token, %d public, %d denied\n",
		r.Service, r.Operations, r.Routes, r.ACLs, r.Tokens, len(r.Public), r.Denied)

	section(&b, "Could not be read", "Denied or not known. An overlay row settles it.", r.Problems, Problem.String)
	section(&b, "ACLs that need a value the path does not have", "Denied at the edge. If the service itself checks it, an overlay row lets tokens pass.", r.Missing,
		func(m Missing) string {
			return fmt.Sprintf("%s demands %s: no {%s}\noverlay: %s", m.Route, m.ACL, strings.Join(m.Names, "}, {"), m.Suggestion)
		})
	section(&b, "Conflicts", "Denied, or left to what holds for unmatched requests.", r.Conflicts, func(c Conflict) string {
		if c.Lost {
			return c.Route + " is left out: " + c.Error
		}
		return c.Route + " is denied: " + c.Error
	})
	section(&b, "Changed by the overlay", "", r.Changes, Change.String)
	section(&b, "Known to the overlay only", "", r.Undocumented, Change.String)
	section(&b, "ACLs that name parameters otherwise than the path", "Taken in order. An overlay row with the path's names says it for sure.", r.Mapped,
		func(m Mapping) string { return m.Route + ": " + strings.Join(m.Names, ", ") })
	section(&b, "Overlapping paths", "", r.Overlaps, func(o Overlap) string {
		text := fmt.Sprintf("%s %s wins over %s", o.Method, o.Wins, o.Over)
		if o.Crossing {
			text += ", which has literals of its own: is the upstream of one mind?"
		}
		return text
	})
	section(&b, "Public", "No token is asked for.", r.Public, func(s string) string { return s })
	_, err := w.Write(b.Bytes())
	return err
}

// section writes one list, if there is anything in it.
func section[T any](b *bytes.Buffer, title, note string, list []T, say func(T) string) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s (%d)\n", title, len(list))
	if note != "" {
		fmt.Fprintf(b, "  %s\n", note)
	}
	for _, item := range list {
		for i, line := range strings.Split(say(item), "\n") {
			indent := "  - "
			if i > 0 {
				indent = "    "
			}
			b.WriteString(indent + printable(line) + "\n")
		}
	}
}

// String tells the change in one line.
func (c Change) String() string {
	if c.Effect == Added {
		return fmt.Sprintf("line %d: %s: %s", c.Line, c.Route, c.Holds)
	}
	return fmt.Sprintf("line %d: %s: documented %s, holds %s (%s)", c.Line, c.Route, c.Documented, c.Holds, c.Effect)
}

// printable replaces what a terminal could take for a command.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\ufffd'
		}
		return r
	}, s)
}
