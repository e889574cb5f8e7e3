package transcript

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// service is a little API that varies where real ones do. Every server has a
// generation, which its identifiers carry.
func service(t *testing.T, generation int) (target Target) {
	t.Helper()
	id := fmt.Sprintf("%08d-0000-4000-8000-000000000000", generation)
	owner := fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012d", generation)
	var seeded string
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/seeded":
			fmt.Fprintln(w, seeded)
		case "/notes":
			body, _ := io.ReadAll(r.Body)
			var note struct{ Text string }
			_ = json.Unmarshal(body, &note)
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Location", "/notes/"+id)
			w.Header().Add("X-Two", "a")
			w.Header().Add("X-Two", "b")
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, `{"id": %q, "owner": %q, "text": %q, "timestamp": [17%08d.25], `+
				`"issued_at": "2026-11-23T14:09:%02d", "utc_issued_at": "2026-11-23T14:09:33.%06d", "details": {"n": [%d, "<b>"]}}`+"\n",
				id, owner, note.Text, generation, generation, generation, generation)
		case "/notes/" + id:
			fmt.Fprintf(w, `{"message": "note %s, seen at %d", "id": %q}`+"\n", id, 1000+generation, id)
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		case "/text":
			io.WriteString(w, "one\n\n two \n$5 $NAME <uuid>\n")
		case "/basic":
			user, password, _ := r.BasicAuth()
			fmt.Fprint(w, user+"|"+password)
		case "/redirect":
			w.Header().Set("Location", "http://"+r.Host+"/there")
			w.WriteHeader(http.StatusPermanentRedirect)
		default:
			body, _ := io.ReadAll(r.Body)
			header := map[string][]string{}
			for _, name := range []string{"Accept-Encoding", "Content-Type", "User-Agent", "X-Auth-Token"} {
				header[name] = append([]string{}, r.Header[name]...)
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(struct {
				URI    string              `json:"uri"`
				Host   string              `json:"host"`
				Header map[string][]string `json:"header"`
				Body   string              `json:"body"`
			}{r.RequestURI, r.Host, header, string(body)})
		}
	})
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return Target{
		BaseURL: server.URL,
		Directive: func(t testing.TB, words []string) {
			if words[0] != "seed" {
				t.Errorf("unknown directive %q", words)
			}
			seeded = strings.Join(words[1:], " ")
		},
	}
}

// fakeTB takes the errors that a transcript is expected to give.
type fakeTB struct {
	testing.TB
	errors []string
}

func (f *fakeTB) Helper()             {}
func (f *fakeTB) Logf(string, ...any) {}
func (f *fakeTB) Errorf(format string, args ...any) {
	f.errors = append(f.errors, fmt.Sprintf(format, args...))
}

// try runs a transcript given as text and returns the file's path and errors.
func try(t *testing.T, target Target, text string, update bool) (file string, errors string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "t.txt")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	fake := &fakeTB{TB: t}
	run(fake, file, target, update)
	return file, strings.Join(fake.errors, "\n")
}

func content(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRun_AllFeatures(t *testing.T) {
	t.Parallel()
	target := service(t, 1)
	target.Vars = map[string]string{}
	Run(t, "testdata/notes.txt", target)
	if got := target.Vars["ID"]; got != "00000001-0000-4000-8000-000000000000" {
		t.Errorf("captured %q", got)
	}
}

const created = `> POST /notes
>
> {"text": "x"}
`

const note = `{"id": "$ID", "owner": "<uuid>", "text": "x", "timestamp": [<float>], "issued_at": "<localtime>", "utc_issued_at": "<utctime>", "details": <any>}`

// A comparison that passes whatever comes back is worse than none.
func TestRun_Failures(t *testing.T) {
	t.Parallel()
	edit := func(old, new string) string {
		return created + "< 201\n<\n< " + strings.Replace(note, old, new, 1) + "\n"
	}
	for name, tt := range map[string]struct {
		text string
		want []string // parts of the report; none: no failure
	}{
		"good":                {edit("", ""), nil},
		"white space":         {edit(`, "owner"`, ",\n< \t \"owner\""), nil},
		"escapes":             {edit(`"text": "x"`, `"\u0074ext": "\u0078"`), nil},
		"body unchecked":      {created + "< 201\n", nil},
		"status":              {strings.Replace(edit("", ""), "201", "200", 1), []string{"t.txt:1: ", "> POST /notes\n>\n> {", "- 200\n+ 201\n", `    "id": "$ID",`}},
		"header value":        {created + "< 201\n< Location: /other\n", []string{"- Location: /other\n+ Location: /notes/00000001-"}},
		"header case":         {created + "< 201\n< location: /notes/<uuid>\n", nil},
		"header missing":      {created + "< 201\n< X-None: a\n", []string{"- X-None: a\n+ !X-None"}},
		"header present":      {created + "< 201\n< !Location\n", []string{"- !Location\n+ Location: /notes/"}},
		"header repeated":     {created + "< 201\n< X-Two: a\n< x-two: b\n", nil},
		"header value twice":  {created + "< 201\n< X-Two: a\n", []string{"+ X-Two: b"}},
		"header value thrice": {created + "< 201\n< X-Two: a\n< X-Two: b\n< X-Two: c\n", []string{"- X-Two: c"}},
		"header order":        {created + "< 201\n< X-Two: b\n< X-Two: a\n", []string{"X-Two: b"}},
		"header empty":        {created + "< 201\n< X-None:\n", []string{"- X-None:\n+ !X-None"}},
		"key order":           {edit(`"owner": "<uuid>", "text": "x"`, `"text": "x", "owner": "<uuid>"`), []string{`-   "text": "x",`, `+   "text": "x",`}},
		"key missing":         {edit(`"text": "x", `, ``), []string{`+   "text": "x",`}},
		"key too many":        {edit(`"text": "x", `, `"text": "x", "more": null, `), []string{`-   "more": null,`}},
		"string":              {edit(`"text": "x"`, `"text": "y"`), []string{"-   \"text\": \"y\",\n+   \"text\": \"x\","}},
		"type":                {edit(`"text": "x"`, `"text": null`), []string{"-   \"text\": null,\n+   \"text\": \"x\","}},
		"quoted float":        {edit(`[<float>]`, `["<float>"]`), []string{"-     \"<float>\"\n+     1700000001.25"}},
		"number":              {edit(`[<float>]`, `[1700000001.250]`), []string{"-     1700000001.250\n+     1700000001.25"}},
		"list length":         {edit(`[<float>]`, `[<float>, <float>]`), []string{"-     <float>,"}},
		"not a list":          {edit(`[<float>]`, `<float>`), []string{`-   "timestamp": <float>,`}},
		"uuid":                {edit(`"text": "x"`, `"text": "<uuid>"`), []string{`-   "text": "<uuid>",`}},
		"utc without fraction": {edit(`"issued_at": "<localtime>"`, `"issued_at": "<utctime>"`),
			[]string{`+   "issued_at": "2026-11-23T14:09:01",`}},
		"captured twice":           {edit(`"owner": "<uuid>"`, `"owner": "$ID"`), []string{"-   \"owner\": \"$ID\",\n+   \"owner\": \"aaaaaaaa-"}},
		"captured in another type": {edit(`"text": "x"`, `"text": $T`), []string{`-   "text": $T,`}},
		"body missing":             {"> GET /empty\n< 204\n<\n< {}\n", []string{"- {}\n+ (no body)"}},
		"body unexpected":          {"> GET /text\n< 200\n< (no body)\n", []string{"- (no body)\n+ \n+ one\n", "+ $$5 $$NAME $<uuid>"}},
		"body empty":               {"> GET /empty\n< 204\n<\n< (no body)\n", nil},
		"text":                     {"> GET /text\n< 200\n<\n< one\n<\n<  two \n< $5 $$NAME $<uuid>\n", nil},
		"text white space":         {"> GET /text\n< 200\n<\n< one\n<\n<  two\n< $5 $$NAME $<uuid>\n", []string{"  one\n", "-  two\n+  two \n  $5 $$NAME"}},
		"text any":                 {"> GET /text\n< 200\n<\n< one\n< <any>\n", nil},
		"text is anything":         {"> GET /text\n< 200\n<\n< <any>\n", nil},
		"long line":                {"> PUT /x\n>\n> {{repeat 500 é}}\n< 200\n<\n< {\"body\": 1}\n", []string{"éé… ("}},
		"text for JSON":            {created + "< 201\n<\n< hello\n", []string{"- hello\n+ {"}},
		"JSON for text":            {"> GET /text\n< 200\n<\n< {}\n", []string{"- {}\n+ one"}},
		"placeholder meets itself": {"> GET /x\n> User-Agent: <uuid>\n< 200\n<\n< {\"uri\": \"/x\", \"host\": <any>, \"header\": {\"Accept-Encoding\": [], \"Content-Type\": [], \"User-Agent\": [\"<uuid>\"], \"X-Auth-Token\": []}, \"body\": \"\"}\n",
			[]string{`-       "<uuid>"`, `+       "$<uuid>"`}},
		"never captured":          {"> GET /x/$NONE\n< 200\n", []string{"t.txt:1: $NONE was never captured"}},
		"unknown function":        {"> GET /{{random 5}}\n< 200\n", []string{"{{random}} is none of"}},
		"bad hex":                 {"> PUT /x\n>\n> {{hex 1}}\n< 200\n", []string{"t.txt:1: encoding/hex"}},
		"bad repeat":              {"> PUT /x\n>\n> {{repeat x y}}\n< 200\n", []string{"count expected"}},
		"content length":          {"> PUT /x\n> Content-Length: 5\n< 200\n", []string{"does not let a test choose Content-Length"}},
		"unsendable path":         {"> GET //{x}\n< 200\n", []string{"cannot send"}},
		"no path":                 {"> GET\n< 200\n", []string{"method and path expected"}},
		"no header":               {"> GET /x\n> nonsense\n< 200\n", []string{`header expected, not "nonsense"`}},
		"empty request":           {">\n< 200\n", []string{"empty request"}},
		"directive":               {"\n@ sow x\n", []string{`unknown directive ["sow" "x"]`}},
		"directive unknown value": {"\n@ seed $NONE\n", []string{"t.txt:2: $NONE was never captured"}},
		"all exchanges":           {"> GET /text\n< 201\n\n> GET /text\n< 202\n", []string{"- 201", "t.txt:4: ", "- 202"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, errors := try(t, service(t, 1), tt.text, false)
			if (errors == "") != (tt.want == nil) {
				t.Fatalf("reported:\n%s", errors)
			}
			for _, part := range tt.want {
				if !strings.Contains(errors, part) {
					t.Errorf("no %q in\n%s", part, errors)
				}
			}
		})
	}
}

func TestRun_Syntax(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"# why\nGET /\n":                      "t.txt:2: a line starts with",
		"@\n":                                 "t.txt:1: a line starts with",
		"@  \n":                               "t.txt:1: empty directive",
		"< 200\n":                             "t.txt:1: response without request",
		"> GET /\n\n> GET /\n< 200\n":         "t.txt:1: request without response",
		"> GET /\n>X: y\n< 200\n":             "t.txt:2: space expected after >",
		"> GET /\n< OK\n":                     "t.txt:2: status expected",
		"> GET /\n# but\n< 200\n< what\n":     "t.txt:3: header expected",
		"> GET /\n< 200\n<\n":                 "t.txt:2: body or (no body) expected",
		"> GET /\n< 200\n# no\n< X: y\n":      "t.txt:4: response without request",
		"> GET /\n< 200\n< (no body)\n< X: y": "header expected, not \"(no body)\"",
	} {
		_, errors := try(t, Target{BaseURL: "http://127.0.0.1:0"}, text, false)
		if !strings.Contains(errors, want) {
			t.Errorf("%q: got %q, want %q", text, errors, want)
		}
	}
}

// Anything that is not JSON with placeholders is literal text.
func TestParseTemplate(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		`{}`: true, `[]`: true, ` [ 1 , "a" , {"b" : <any>} ] `: true, `$A`: true, `<uuid>`: true, `-1.5e+3`: true, `null`: true,
		``: false, `{`: false, `[1`: false, `[1,`: false, `[1,]`: false, `{"a"}`: false, `{"a":}`: false, `{a:1}`: false, `{"a":1]`: false,
		`1 2`: false, `hello`: false, `<p>`: false, `"a`: false, `"\x"`: false, `{"\x": 1}`: false, `nulls`: false, `[}`: false, `{"a":1,}`: false,
	} {
		if n, err := parseTemplate(text); (err == nil) != ok {
			t.Errorf("%q: %+v, %v", text, n, err)
		}
	}
}

func TestRun_Unreachable(t *testing.T) {
	t.Parallel()
	if _, errors := try(t, Target{BaseURL: "http://127.0.0.1:0"}, "> GET /\n< 200\n", false); !strings.Contains(errors, "t.txt:1: GET /: ") {
		t.Errorf("reported %q", errors)
	}
	if _, errors := try(t, Target{}, "@ x\n", false); !strings.Contains(errors, "nothing carries out") {
		t.Errorf("reported %q", errors)
	}
	fake := &fakeTB{TB: t}
	Run(fake, "testdata/none.txt", Target{})
	if len(fake.errors) != 1 {
		t.Errorf("reported %q", fake.errors)
	}
}

func TestUpdate_LeavesWhatFits(t *testing.T) {
	t.Parallel()
	text := content(t, "testdata/notes.txt")
	file, errors := try(t, service(t, 2), text, true)
	if errors != "" || content(t, file) != text {
		t.Errorf("rewritten (%s):\n%s", errors, diff(strings.Split(text, "\n"), strings.Split(content(t, file), "\n")))
	}
}

func TestUpdate_Rewrites(t *testing.T) {
	t.Parallel()
	const before = `# why: kept
> POST /notes
>
> {"text": "x"}
# kept, too
< 200
< location: /wrong
< X-Two: b
< X-Gone: a
< !Date
<
< {"text": "y", "timestamp": <any>, "id": "$ID"}

> GET /notes/$ID
< 404
< !Www-Authenticate

> GET /notes/$ID

> GET /text
< 200
<
< nothing of this

# not JSON, and empty
> GET /empty
< 204
<
< {}
> GET /text
< 200
< (no body)
> GET /empty`
	const after = `# why: kept
> POST /notes
>
> {"text": "x"}
# kept, too
< 201
< location: /notes/<uuid>
< X-Two: a
< X-Two: b
< !X-Gone
< Date: <any>
<
< {
<   "id": "$ID",
<   "owner": "<uuid>",
<   "text": "x",
<   "timestamp": <any>,
<   "issued_at": "<localtime>",
<   "utc_issued_at": "<utctime>",
<   "details": {"n": [1, "<b>"]}
< }

> GET /notes/$ID
< 200
< !Www-Authenticate

> GET /notes/$ID
< 200
< Content-Type: text/plain; charset=utf-8
<
< {"message": "note $ID, seen at 1001", "id": "$ID"}

> GET /text
< 200
<
< one
<
<  two 
< $$5 $$NAME $<uuid>

# not JSON, and empty
> GET /empty
< 204
< (no body)
> GET /text
< 200
<
< one
<
<  two 
< $$5 $$NAME $<uuid>
> GET /empty
< 204
< (no body)
`
	file, errors := try(t, service(t, 1), before, true)
	got := dateless(content(t, file))
	if errors != "" || got != after {
		t.Errorf("%s\n%s", errors, diff(strings.Split(after, "\n"), strings.Split(got, "\n")))
	}

	// What was written passes, on another generation as well where it says
	// nothing of it, and a second update changes nothing.
	again := strings.ReplaceAll(got, "seen at 1001", "seen at <any>")
	again = strings.ReplaceAll(again, `"n": [1, `, `"n": [<any>, `)
	if _, errors := try(t, service(t, 3), again, false); errors != "" {
		t.Errorf("after updating: %s", errors)
	}
	file, errors = try(t, service(t, 4), again, true)
	if errors != "" || content(t, file) != again {
		t.Errorf("second update: %s\n%s", errors, content(t, file))
	}
}

// dateless hides the one header that is different every day.
func dateless(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "< Date: ") {
			lines[i] = "< Date: <any>"
		}
	}
	return strings.Join(lines, "\n")
}

// What reads like a mark of the format is escaped.
func TestUpdate_Escapes(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		noBody:                 "> GET /\n< 200\n<\n< $(no body)\n",
		`{"a": "<any> $UUID"}`: "> GET /\n< 200\n<\n< {\"a\": \"$<any> $$UUID\"}\n",
		"$<uuid>":              "> GET /\n< 200\n<\n< $$$<uuid>\n",
		"\n\nx\n\n":            "> GET /\n< 200\n<\n<\n<\n< x\n<\n",
		"\xff 1\r\n2":          "> GET /\n< 200\n<\n< \xff 1\r\n< 2\n",
		`{"at": 1785400000, "n": 31536000, "t": "2026-11-23T14:09:33.501702+00:00"}`: "> GET /\n< 200\n<\n" +
			`< {"at": <float>, "n": 31536000, "t": "<localtime>+00:00"}` + "\n",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, body)
		}))
		target := Target{BaseURL: server.URL}
		const text = "> GET /\n< 200\n< (no body)\n"
		if _, errors := try(t, target, text, false); errors == "" {
			t.Errorf("%q taken for an empty body", body)
		}
		file, errors := try(t, target, text, true)
		if errors != "" || content(t, file) != want {
			t.Errorf("%q: %s\n%q", body, errors, content(t, file))
		}
		if _, errors := try(t, target, want, false); errors != "" {
			t.Errorf("%q: after updating: %s", body, errors)
		}
		server.Close()
	}
}

func TestUpdate_Inexpressible(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "\xff 00000001-0000-4000-8000-000000000000")
	}))
	t.Cleanup(server.Close)
	const text = "> GET /\n< 200\n< (no body)\n"
	file, errors := try(t, Target{BaseURL: server.URL}, text, true)
	if !strings.Contains(errors, "no exact form") || content(t, file) != text {
		t.Errorf("updated: %q", errors)
	}
}
