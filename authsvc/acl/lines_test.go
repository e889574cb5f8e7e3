package acl

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestMatchLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 3<<20)
	for _, c := range []struct {
		name, in, out string
		err           string // part of the message; empty for none
	}{
		{name: "nothing"},
		{name: "blank lines", in: "\n \t\r\n\n"},
		{name: "allow and deny", in: `{"acl":["a"],"required":"a"}` + "\n" + `{"acl":["a"],"required":"b"}` + "\n", out: "allow\ndeny\n"},
		{name: "no line feed at the end", in: `{"acl":["a"],"required":"a"}`, out: "allow\n"},
		{name: "carriage returns", in: `{"acl":["a"],"required":"a"}` + "\r\n\r\n", out: "allow\n"},
		{name: "ids", in: `{"acl":["me.my_session"],"auth_id":"u","session_id":"s","required":"u.s"}`, out: "allow\n"},
		{name: "null required", in: `{"acl":["!#"],"required":null}`, out: "allow\n"},
		{name: "absent required", in: `{"acl":[]}`, out: "allow\n"},
		{name: "null required of may_add", in: `{"acl":[],"method":"may_add"}`, out: "allow\n"},
		{name: "null and absent ids", in: `{"acl":["me.my_session"],"auth_id":null,"required":"None.None"}`, out: "allow\n"},
		{name: "empty id is not null", in: `{"acl":["a.me"],"auth_id":"","required":"a."}` + "\n" + `{"acl":["a.me"],"auth_id":"","required":"a.None"}`, out: "allow\ndeny\n"},
		{name: "methods", in: `{"acl":[],"method":"may_add","required":"!a"}` + "\n" +
			`{"acl":["a"],"method":"may_remove","required":"!a"}` + "\n" +
			`{"acl":["a"],"method":"matches","required":"!a"}` + "\n" +
			`{"acl":["a"],"method":null,"required":"a"}`, out: "allow\nallow\ndeny\nallow\n"},
		{name: "same list again", in: strings.Repeat(`{"acl":["a.*"],"required":"a.b"}`+"\n", 3), out: "allow\nallow\nallow\n"},
		{name: "other keys", in: `{"id":1,"acl":["a"],"expected":null,"required":"a"}`, out: "allow\n"},
		{name: "names are case sensitive", in: `{"acl":["a"],"required":"b","Required":null}`, out: "deny\n"},
		{name: "last of a repeated key", in: `{"acl":["a"],"required":"b","required":"a"}`, out: "allow\n"},
		{name: "megabytes", in: `{"acl":["` + long + `.#"],"required":"` + long + `.y"}` + "\n" + `{"acl":[],"required":"a"}`, out: "allow\ndeny\n"},

		{name: "bad JSON", in: `{"acl":["a"],"required":"a"}` + "\n\n{\n" + `{"acl":["a"]}`, out: "allow\n", err: "line 3"},
		{name: "trailing data", in: `{"acl":["a"],"required":"a"} x`, err: "line 1"},
		{name: "not an object", in: `["a"]`, err: "line 1"},
		{name: "null for an object", in: `null`, err: "line 1: acl"},
		{name: "no acl", in: `{"required":"a"}`, err: "line 1: acl"},
		{name: "null acl", in: `{"acl":null,"required":"a"}`, err: "line 1: acl"},
		{name: "acl is a string", in: `{"acl":"a","required":"a"}`, err: "line 1: acl"},
		{name: "null in acl", in: `{"acl":["a",null],"required":"a"}`, err: "item 1"},
		{name: "number in acl", in: `{"acl":["a",1],"required":"a"}`, err: "line 1: acl"},
		{name: "number required", in: `{"acl":["a"],"required":1}`, err: "line 1: required"},
		{name: "list as id", in: `{"acl":["a"],"auth_id":["x"],"required":"a"}`, err: "line 1: auth_id"},
		{name: "bool as session", in: `{"acl":["a"],"session_id":true,"required":"a"}`, err: "line 1: session_id"},
		{name: "unknown method", in: `{"acl":["a"],"method":"MATCHES","required":"a"}`, err: `line 1: unknown method "MATCHES"`},
		{name: "bad line although nothing is required", in: `{"acl":["a"],"method":"x"}`, err: "line 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for name, r := range map[string]io.Reader{
				"whole":    strings.NewReader(c.in),
				"halves":   iotest.HalfReader(strings.NewReader(c.in)),
				"data+EOF": iotest.DataErrReader(strings.NewReader(c.in)),
			} {
				var out bytes.Buffer
				err := MatchLines(r, &out)
				if out.String() != c.out {
					t.Errorf("%s: got %q, want %q", name, out.String(), c.out)
				}
				if c.err == "" && err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
					t.Errorf("%s: error %v, want one with %q", name, err, c.err)
				}
			}
		})
	}
}

// TestMatchLinesAnswersAtOnce asks one question at a time over a pipe.
func TestMatchLinesAnswersAtOnce(t *testing.T) {
	t.Parallel()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := MatchLines(inR, outW)
		outW.Close()
		done <- err
	}()
	for range 3 {
		if _, err := io.WriteString(inW, `{"acl":["a"],"required":"a"}`+"\n"); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, len("allow\n"))
		if _, err := io.ReadFull(outR, answer); err != nil || string(answer) != "allow\n" {
			t.Fatalf("%q, %v", answer, err)
		}
	}
	inW.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestMatchLinesReadAndWriteErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	line := `{"acl":["a"],"required":"a"}` + "\n"

	var out bytes.Buffer
	err := MatchLines(io.MultiReader(strings.NewReader(line+line[:5]), iotest.ErrReader(broken)), &out)
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "line 2") || out.String() != "allow\n" {
		t.Errorf("failing reader: %v, %q", err, out.String())
	}
	for name, in := range map[string]string{"short": line, "long": strings.Repeat(line, 10000), "malformed": line + "{"} {
		if err := MatchLines(strings.NewReader(in), failingWriter{broken}); !errors.Is(err, broken) {
			t.Errorf("failing writer, %s input: %v", name, err)
		}
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }
