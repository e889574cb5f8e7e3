package acl

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// null is what a null id becomes (contract/acl.md §2.3).
const null = "None"

// MatchLines answers questions written as JSON objects, one per line:
//
//	{"acl": ["foo.*", "!foo.me"], "auth_id": "…", "session_id": "…", "required": "foo.bar"}
//
// with "allow" or "deny", one per line and in order. A required that is null or
// absent is allowed whatever the list says; an id that is null or absent is the
// text "None" (contract/acl.md §2.3, §3.1). The key "method" may ask for
// "matches" (the default), "may_add" or "may_remove"; other keys are ignored,
// names are case sensitive and the last of a repeated key counts. Blank lines
// are skipped.
//
// It stops at the first line it cannot read (not a JSON object, a value of the
// wrong type, no acl, an unknown method) with an error that names the line, once
// the verdicts of the lines before are written. Verdicts are also written
// whenever no further input is at hand, so that the other end of a pipe can
// wait for its answer.
//
// Lines may be of any length and are held in memory one at a time: a caller
// that does not trust r bounds it. Time is linear in the input, apart from the
// matches themselves. MatchLines may run concurrently on different streams.
func MatchLines(r io.Reader, w io.Writer) error {
	out := bufio.NewWriter(w)
	in := bufio.NewReaderSize(&flushingReader{r: r, out: out}, 64<<10)
	var (
		line []byte
		last lastACL
	)
	for number := 1; ; number++ {
		var readErr error
		line, readErr = readLine(in, line[:0])
		if readErr != nil && !errors.Is(readErr, io.EOF) {
			if err := out.Flush(); err != nil {
				return fmt.Errorf("writing verdicts: %w", err)
			}
			return fmt.Errorf("reading line %d: %w", number, readErr)
		}
		if len(bytes.Trim(line, " \t\r\n")) > 0 {
			allowed, err := last.answer(line)
			if err != nil {
				return errors.Join(fmt.Errorf("line %d: %w", number, err), out.Flush())
			}
			verdict := "deny\n"
			if allowed {
				verdict = "allow\n"
			}
			if _, err := out.WriteString(verdict); err != nil {
				return fmt.Errorf("writing verdicts: %w", err)
			}
		}
		if errors.Is(readErr, io.EOF) {
			if err := out.Flush(); err != nil {
				return fmt.Errorf("writing verdicts: %w", err)
			}
			return nil
		}
	}
}

// flushingReader writes the verdicts at hand before it waits for more input. A
// failure to write ends the reading, and the writer remembers it.
type flushingReader struct {
	r   io.Reader
	out *bufio.Writer
}

func (f *flushingReader) Read(p []byte) (int, error) {
	if err := f.out.Flush(); err != nil {
		return 0, err
	}
	return f.r.Read(p)
}

// readLine appends the next line to buf, however long it is.
func readLine(in *bufio.Reader, buf []byte) ([]byte, error) {
	for {
		part, err := in.ReadSlice('\n')
		buf = append(buf, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return buf, err
		}
	}
}

// lastACL remembers the list of the line before: questions usually come in
// numbers about the same one.
type lastACL struct {
	source []byte
	acl    *ACL
}

// answer reads one question and decides it.
func (l *lastACL) answer(line []byte) (bool, error) {
	// A map and not a struct, for a struct would take "ACL" or "Required" as well.
	var object map[string]json.RawMessage
	if err := json.Unmarshal(line, &object); err != nil {
		return false, err
	}
	acl, err := l.compile(object["acl"])
	if err != nil {
		return false, err
	}
	var required, auth, session, method *string
	for _, field := range []struct {
		name string
		into **string
	}{{"required", &required}, {"auth_id", &auth}, {"session_id", &session}, {"method", &method}} {
		if raw, ok := object[field.name]; ok {
			if err := json.Unmarshal(raw, field.into); err != nil {
				return false, fmt.Errorf("%s: %w", field.name, err)
			}
		}
	}
	decide := acl.Match
	if method != nil {
		switch *method {
		case "matches":
		case "may_add":
			decide = acl.MayAdd
		case "may_remove":
			decide = acl.MayRemove
		default:
			return false, fmt.Errorf("unknown method %q (matches, may_add, may_remove)", *method)
		}
	}
	if required == nil {
		return true, nil
	}
	return decide(*required, Self{AuthID: idBytes(auth), SessionID: idBytes(session)}), nil
}

// compile returns the list that raw spells.
func (l *lastACL) compile(raw json.RawMessage) (*ACL, error) {
	if l.acl != nil && bytes.Equal(raw, l.source) {
		return l.acl, nil
	}
	// Pointers, because null would otherwise pass for an empty access.
	var items []*string
	if raw != nil {
		if err := json.Unmarshal(raw, &items); err != nil {
			return nil, fmt.Errorf("acl: %w", err)
		}
	}
	if items == nil {
		return nil, errors.New("acl: missing, want a list of strings")
	}
	accesses := make([]string, len(items))
	for i, item := range items {
		if item == nil {
			return nil, fmt.Errorf("acl: item %d is null, want a string", i)
		}
		accesses[i] = *item
	}
	l.source, l.acl = raw, Compile(accesses)
	return l.acl, nil
}

func idBytes(id *string) []byte {
	if id == nil {
		return []byte(null)
	}
	return []byte(*id)
}
