package form_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/wazo-edge/xivo-auth/authsvc/form"
)

// Every row was checked against json.loads(bytes) of Python 3.11; what Python
// keeps as a lone surrogate is U+FFFD here.
func TestReadJSON_Python(t *testing.T) {
	t.Parallel()
	nines := strings.Repeat("9", 4300)
	const refused = "refused"
	for _, tt := range []struct{ body, want string }{
		// encodings
		{"\xef\xbb\xbf{}", "map[]"},
		{"\xff\xfe{\x00}\x00", "map[]"},
		{"\xfe\xff\x00{\x00}", "map[]"},
		{"\xff\xfe\x00\x00{\x00\x00\x00}\x00\x00\x00", "map[]"},
		{"\x00\x00\xfe\xff\x00\x00\x00{\x00\x00\x00}", "map[]"},
		{"{\x00}\x00", "map[]"},
		{"\x00{\x00}", "map[]"},
		{"{\x00\x00\x00}\x00\x00\x00", "map[]"},
		{"\x00\x00\x00{\x00\x00\x00}", "map[]"},
		{"0\x00", "0"},
		{"\x000", "0"},
		{"1\x00\x00\x00", "1"},
		{"\x00\x00\x001", "1"},
		{"\"\x00=\xd8\x00\xde\"\x00", "😀"},
		{"\"é😀\"", "é😀"},
		{"\"\xe9\"", refused}, // latin-1
		{"\"\xc0\x80\"", refused},
		{"\"\xf4\x90\x80\x80\"", refused},
		{"\"\xed\xa0", refused},
		{"\"\xed\xa0\x80\"", "\uFFFD"},
		{"\"\xed\xa0\xbd\xed\xb8\x80\"", "\uFFFD\uFFFD"},
		{"\xff\xfe\"\x00\x00\xd8\"\x00", "\uFFFD"},
		{"\"\x00\x00\x00\x00\xd8\x00\x00\"\x00\x00\x00", "\uFFFD"},
		{"\"\x00\x00\x00\x00\x00\x11\x00\"\x00\x00\x00", refused},
		{"\xff\xfe{\x00}", refused},
		{"\x00\x00\x00{\x00\x00}", refused},
		{"\xef\xbb\xbf\xef\xbb\xbf{}", refused},
		{"\xef\xbb\xbf", refused},
		{"\xef\xbb", refused},
		{"\xff\xfe", refused},
		{"\xff\xfe\x00\x00", refused},
		{"\x00\x00\x00\x00", refused},
		{"\x00\x00\xd8\x00", refused},
		{"{}\x00\x00", refused},
		{"12\x00\x00", refused},
		{"1\x001", refused}, // three bytes: too short to guess
		{"\xa01", refused},
		// numbers
		{"NaN", "NaN"},
		{"[Infinity, -Infinity]", "[+Inf -Inf]"},
		{"-NaN", refused},
		{"nan", refused},
		{"NaN1", refused},
		{"Infinityy", refused},
		{"+1", refused},
		{"01", refused},
		{"-01", refused},
		{"00", refused},
		{"-", refused},
		{"1.", refused},
		{".5", refused},
		{"1e", refused},
		{"1e+", refused},
		{"-0", "-0"},
		{"1e400", "1e400"},
		{"1E-5", "1E-5"},
		{"12345678901234567890.12345678901234567890", "12345678901234567890.12345678901234567890"},
		{nines, nines},
		{"-" + nines, "-" + nines},
		{nines + "9", refused},
		{"-" + nines + "9", refused},
		{nines + "9.0", nines + "9.0"},
		// strings
		{`"\ud83d\ude00"`, "😀"},
		{`"\ud800"`, "\uFFFD"},
		{`"\"\\\/\b\f\n\r\t\u00e9"`, "\"\\/\b\f\n\r\té"},
		{"\"\x7f\"", "\x7f"},
		{"\"\t\"", refused},
		{"\"\x00\"", refused},
		{`"\u00e"`, refused},
		{`"\U0000"`, refused},
		{`"\x41"`, refused},
		{`"\`, refused},
		{`"abc`, refused},
		{`'a'`, refused},
		// structure
		{`{"a": 1, "b": 2, "a": [3]}`, "map[a:[3] b:2]"},
		{" \t\r\n[ ] ", "[]"},
		{"[null, true, false]", "[<nil> true false]"},
		{"", refused},
		{"  ", refused},
		{"[1,]", refused},
		{"[1 2]", refused},
		{"[,1]", refused},
		{"[1", refused},
		{"[", refused},
		{"]", refused},
		{`{"a":1,}`, refused},
		{`{"a":1 "b":2}`, refused},
		{`{"a"}`, refused},
		{`{1:2}`, refused},
		{`{`, refused},
		{"{} x", refused},
		{"\x0c1", refused},
		{"nul", refused},
		{"nulll", refused},
		{"// no\n1", refused},
	} {
		got, err := form.ReadJSON(strings.NewReader(tt.body), "")
		text := fmt.Sprint(got)
		if errors.Is(err, form.ErrSyntax) {
			text = refused
		}
		if text != tt.want {
			t.Errorf("%.60q: got %.60s (%v), want %.60s", tt.body, text, err, tt.want)
		}
	}
}

func TestReadJSON_ContentType(t *testing.T) {
	t.Parallel()
	for contentType, refused := range map[string]bool{
		"":                                                 false,
		"application/json":                                 false,
		"text/plain; charset=latin-1":                      false,
		"application/x-www-form-urlencodes":                false,
		"x-multipart/form-data":                            false,
		"application/x-www-form-urlencoded":                true,
		"application/x-url-encoded":                        true,
		"multipart/form-data":                              true,
		"Multipart/FORM-Data; boundary=x":                  true,
		" application/X-WWW-form-urlencoded;charset=utf-8": true,
	} {
		_, err := form.ReadJSON(strings.NewReader(`{}`), contentType)
		if errors.Is(err, form.ErrSyntax) != refused {
			t.Errorf("%q: %v, want refused: %v", contentType, err, refused)
		}
	}
}

func TestReadJSON_Size(t *testing.T) {
	t.Parallel()
	body := func(n int) io.Reader { return strings.NewReader(`"` + strings.Repeat("x", n-2) + `"`) }
	if v, err := form.ReadJSON(body(form.MaxBody), ""); err != nil || len(v.(string)) != form.MaxBody-2 {
		t.Errorf("1 MiB: %v", err)
	}
	if _, err := form.ReadJSON(body(form.MaxBody+1), ""); !errors.Is(err, form.ErrTooLarge) || errors.Is(err, form.ErrSyntax) {
		t.Errorf("1 MiB + 1: %v", err)
	}
	limited := http.MaxBytesReader(httptest.NewRecorder(), io.NopCloser(body(20)), 10)
	if _, err := form.ReadJSON(limited, ""); !errors.Is(err, form.ErrTooLarge) {
		t.Errorf("smaller limit of the server: %v", err)
	}
	broken := io.MultiReader(strings.NewReader("{"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := form.ReadJSON(broken, ""); !errors.Is(err, form.ErrSyntax) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("client gone: %v", err)
	}
}

// amplifying are the bodies of 1 MiB that take most memory: nothing but the
// smallest of objects, and values that are large besides.
func amplifying() map[string]string {
	fill := func(part string, n int) string { return strings.Repeat(part+",", n) }
	rest := func(s, last string) string {
		return s + `"` + strings.Repeat(last, (form.MaxBody-len(s)-4)/len(last)) + `"]`
	}
	const some = form.MaxValues/2 - 1
	return map[string]string{
		"objects without end":              "[" + strings.TrimSuffix(fill(`{"":0}`, form.MaxBody/7-1), ",") + "]",
		"as many objects as we let":        rest("["+fill(`{"":0}`, some), "x"),
		"objects, and escapes":             rest("["+fill(`{"":0}`, some), `\u00e9`),
		"objects in bytes that are mended": rest("["+fill(`{"":0}`, some), "\xed\xa0\x80"),
		"texts":                            rest("["+fill(`"`+strings.Repeat("x", 90)+`"`, 2*some), "x"),
		"objects of objects":               "[" + strings.TrimSuffix(fill(`{"":{}}`, some), ",") + "]",
		"keys": "{" + func() (s string) {
			var b strings.Builder
			for i := range 2 * some {
				fmt.Fprintf(&b, `"%096d":0,`, i)
			}
			return strings.TrimSuffix(b.String(), ",")
		}() + "}",
	}
}

// TestReadJSON_Memory is not parallel: it counts what the whole process
// allocates. Anybody may send a body, and many at once.
func TestReadJSON_Memory(t *testing.T) {
	for name, body := range amplifying() {
		if len(body) > form.MaxBody {
			t.Fatalf("%s: %d bytes", name, len(body))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := form.ReadJSON(strings.NewReader(body), "")
		runtime.ReadMemStats(&after)
		if err != nil && !errors.Is(err, form.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
		times := float64(after.TotalAlloc-before.TotalAlloc) / form.MaxBody
		t.Logf("%s: %d bytes, %.1f MiB (%v)", name, len(body), times, err)
		if times > 10 { // 6 at most, and half as much again under the race detector
			t.Errorf("%s: %.1f MiB are allocated for a body of one", name, times)
		}
	}
}

// TestReadJSON_Values: lists as long as any may be are read, longer ones are
// refused as bodies that are too large.
func TestReadJSON_Values(t *testing.T) {
	t.Parallel()
	list := func(n int) string { return `{"": [` + strings.TrimSuffix(strings.Repeat("0,", n), ",") + "]}" }
	if _, err := form.ReadJSON(strings.NewReader(list(form.MaxValues-2)), ""); err != nil {
		t.Errorf("as many as may be: %v", err)
	}
	if _, err := form.ReadJSON(strings.NewReader(list(form.MaxValues-1)), ""); !errors.Is(err, form.ErrTooLarge) || errors.Is(err, form.ErrSyntax) {
		t.Errorf("one more: %v", err)
	}
}

func TestReadJSON_Depth(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		depth int
		ok    bool
	}{{900, true}, {5000, false}, {form.MaxBody / 2, false}} {
		for _, brackets := range []string{"[]", "{}"} {
			opening := strings.Replace(brackets[:1], "{", `{"":`, 1)
			body := strings.Repeat(opening, tt.depth) + "1" + strings.Repeat(brackets[1:], tt.depth)
			if len(body) > form.MaxBody {
				body = body[:form.MaxBody]
			}
			_, err := form.ReadJSON(strings.NewReader(body), "")
			if (err == nil) != tt.ok || !tt.ok && !errors.Is(err, form.ErrSyntax) {
				t.Errorf("%d × %s: %v", tt.depth, brackets, err)
			}
		}
	}
}

// FuzzReadJSON holds our parser against encoding/json wherever the two are
// meant to agree, and against every input for not panicking.
func FuzzReadJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a": [1, -2.5e3, true, false, null, "é\n\u00e9"], "b": {}}`, `[[[]]]`, ` 0 `, `"\ud83d\ude00"`, `-`, `[1,]`,
		"\xff\xfe{\x00}\x00", "\x00\x00\x00{\x00\x00\x00}", "\xef\xbb\xbf1", "NaN", "[-Infinity]", "\"\xed\xa0\x80\"", `{"a":1,"a":2}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := form.ReadJSON(bytes.NewReader(body), "")
		if err != nil && !errors.Is(err, form.ErrSyntax) && !errors.Is(err, form.ErrTooLarge) {
			t.Fatalf("error without sentinel: %v", err)
		}
		if _, wrong := tokenSchema.Load(got); wrong != nil {
			_ = wrong.PythonRepr()
		}
		if !utf8.Valid(body) || bytes.ContainsRune(body, 0) || len(body) > 900 {
			return // other encodings; long integers and deep nesting
		}
		if bytes.HasPrefix(body, []byte("\ufeff")) || bytes.Contains(body, []byte("NaN")) || bytes.Contains(body, []byte("Infinity")) {
			return
		}
		var want any
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber()
		wantErr := decoder.Decode(&want)
		if wantErr == nil {
			if _, more := decoder.Token(); more != io.EOF {
				want, wantErr = nil, errors.New("trailing data")
			}
		}
		if (err == nil) != (wantErr == nil) || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %#v, %v; encoding/json says %#v, %v", body, got, err, want, wantErr)
		}
	})
}
