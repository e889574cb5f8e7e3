// Package transcript replays HTTP conversations written down as text files
// and compares what comes back: the files are tests, and their diff in a pull
// request is the review of the API.
//
//	# why: a login creates a session, and the token it gives is good at once
//	@ user alice s3cre7
//	> POST /0.1/token
//	> Authorization: Basic {{basic alice s3cre7}}
//	> Content-Type: application/json
//	>
//	> {"expiration": 600}
//	< 200
//	< Content-Type: application/json
//	< !Www-Authenticate
//	<
//	< {"data": {"token": "$TOKEN", "issued_at": "<localtime>", "acl": <any>}}
//
//	> HEAD /0.1/token/$TOKEN
//	< 204
//	< (no body)
//
// Lines starting with # are comments, and blank lines separate. A line
// starting with @ is a directive: its words go to [Target.Directive]. A block
// of > lines is a request, the block of < lines that follows its response.
//
// # Requests
//
// The path and query are sent as written, however odd. Headers may repeat;
// Host is honoured; there is no Content-Type unless written; User-Agent is
// "transcript" unless written, and not sent when written empty. The body
// starts after the first empty line and has no newline at its end.
// Everywhere in a request
//
//   - $NAME is a captured value, and $$ a dollar sign;
//   - {{basic USER PASSWORD}} is the base64 of USER:PASSWORD;
//   - {{base64 TEXT}} is the base64 of TEXT;
//   - {{hex C3 A9 ...}} stands for raw bytes;
//   - {{repeat N TEXT}} is TEXT N times, in which %d is 1, 2 … N.
//
// A body line that is nothing but a hex or repeat is not surrounded by the
// newlines that separate other lines, so that pieces can be glued together.
//
// # Responses
//
// The status has to be equal. Of the headers, only those listed are looked
// at: all values of a name have to be listed, in order, and "!Name" says that
// there is none. "(no body)" asserts that the body is empty; a block that
// says nothing of the body leaves it unchecked. White space of JSON bodies is
// free, as is the way a character is escaped, while the order of keys and the
// spelling of numbers are not; other bodies are compared literally, except
// for one newline at their end. These stand for what varies:
//
//   - <uuid>: a lower-case dashed UUID;
//   - <float>: a unix time, with or without fraction;
//   - <localtime>, <utctime>: YYYY-MM-DDTHH:MM:SS.ffffff, where the fraction
//     may be missing from the former (as Python leaves it out);
//   - <any>: any text or, outside quotes in JSON, any value;
//   - $NAME: whatever is there, which is captured; from then on the same;
//   - $$: a dollar sign, where a capital follows; $<uuid> and so on: the text
//     "<uuid>", $(no body): the text "(no body)".
//
// # Updating
//
// With the flag -update the response blocks that differ are rewritten from
// what was received. Comments, listed headers and every placeholder that
// still fits are kept; new UUIDs, times and captured values of eight
// characters or more become placeholders. A request without a response block
// gets one.
//
// # Use
//
//	func TestTranscripts(t *testing.T) {
//		files, _ := filepath.Glob("testdata/transcripts/*.txt")
//		for _, file := range files {
//			t.Run(filepath.Base(file), func(t *testing.T) {
//				t.Parallel()
//				b := newBundle(t) // store, clock, service, httptest.Server
//				transcript.Run(t, file, transcript.Target{BaseURL: b.server.URL, Directive: b.directive})
//			})
//		}
//	}
//
// A run is sequential; different files may run in parallel.
package transcript
