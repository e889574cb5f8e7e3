// Package httpapi is the HTTP side of the service: routes, the body of every
// error, negotiation, cross-origin rules and the API's own document. Rooms
// declare their routes with it; it knows none of them.
package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc/ascii"
	"github.com/wazo-edge/xivo-auth/authsvc/form"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
)

// style is one of the shapes an error body has (contract: errors.md §2).
type style uint8

const (
	restful style = iota // {"message": text}
	reason               // {"reason": [text], "timestamp": [t], "status_code": n}
	api                  // {"message": …, "error_id": …, "details": …, "timestamp": t[, "resource": …]}
)

// Error is an answer other than success. Everything in it but the cause is
// shown to the client. Immutable; safe to keep in package variables.
type Error struct {
	Status int
	style  style

	text     string
	object   json.RawMessage // the message where it is no text
	id       string
	details  Details
	resource string
	shifted  bool
	header   [2]string // one more header, if any
	cause    error
}

// Details are the named facts of an API style error, in order.
type Details []Detail

// Detail is one of them.
type Detail struct {
	Key   string
	Value any
}

// Message is the framework's own style: 400 for a body that is not JSON, 404,
// 405, 413, 5xx.
func Message(status int, text string) *Error {
	return &Error{Status: status, style: restful, text: text}
}

// Reason is the style of everything under /token and of policies.
func Reason(status int, text string) *Error {
	return &Error{Status: status, style: reason, text: text}
}

// API is the style of everything else. resource may be empty.
func API(status int, id, text string, details Details, resource string) *Error {
	return &Error{Status: status, style: api, text: text, id: id, details: details, resource: resource}
}

// Shifted is [API] of a place where the reference forgets the id, so that the
// details stand in its place and the resource in theirs.
func Shifted(status int, text string, details Details, resource string) *Error {
	return &Error{Status: status, style: api, text: text, details: details, resource: resource, shifted: true}
}

// With returns a copy of e that sets a header.
func (e *Error) With(name, value string) *Error {
	c := *e
	c.header = [2]string{name, value}
	return &c
}

// Because returns a copy of e that carries cause for the log.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

func (e *Error) Error() string {
	s := strconv.Itoa(e.Status) + " " + e.text
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.cause }

// Errors that do not belong to one room.
var (
	errNotFound    = Message(http.StatusNotFound, "The requested URL was not found on the server.")
	errMethod      = Message(http.StatusMethodNotAllowed, "The method is not allowed for the requested URL.")
	errBody        = Message(http.StatusBadRequest, "The browser (or proxy) sent a request that this server could not understand.")
	errValue       = Message(http.StatusBadRequest, "The request holds a value that cannot be stored, such as a NUL character.")
	errTooLarge    = Message(http.StatusRequestEntityTooLarge, "The data value transmitted exceeds the capacity limit.")
	errUnavailable = Message(http.StatusServiceUnavailable, "Service Unavailable")
	errInternal    = Message(http.StatusInternalServerError, "Internal Server Error")
)

// UnknownUser and UnknownTenant are the 404 of a resource addressed by id.
func UnknownUser(id string) *Error { return unknown("user", "users", id) }

// UnknownGroup is [UnknownUser] for groups.
func UnknownGroup(id string) *Error { return unknown("group", "groups", id) }

// UnknownTenant is [UnknownUser] for tenants.
func UnknownTenant(id string) *Error { return unknown("tenant", "tenants", id) }

// Conflict is the 409 of a value of field that somebody else has.
func Conflict(field, message, resource string) *Error {
	return API(http.StatusConflict, "conflict", "Conflict detected", Details{
		{field, form.Dict{{Key: "constraint_id", Value: "unique"}, {Key: "message", Value: message}}},
	}, resource)
}

// InvalidData is the 400 of a body: it tells the first thing that is wrong
// with it (errors.md §3.3).
func InvalidData(wrong *form.Errors, resource string) *Error {
	message, details := wrong.First()
	e := API(http.StatusBadRequest, "invalid-data", message, nil, resource)
	for _, item := range details {
		e.details = append(e.details, Detail{fmt.Sprint(item.Key), item.Value})
	}
	return e
}

// InvalidBody is the 400 of a body that tells everything that is wrong with it
// at once (errors.md §3.4).
func InvalidBody(wrong *form.Errors, id, resource string) error {
	message, err := ascii.Marshal(wrong)
	if err != nil {
		return err
	}
	e := API(http.StatusBadRequest, id, "", Details{}, resource)
	e.object = message
	return e
}

func unknown(kind, resource, id string) *Error {
	return API(http.StatusNotFound, "unknown-"+kind, "No such "+kind+`: "`+id+`"`, Details{{"uuid", id}}, resource)
}

// The reasons a guarded request is refused for, as the stack's services word
// them (errors.md §4).
const (
	ReasonToken      = "not_found_or_expired"
	ReasonPermission = "missing_permission_or_invalid_tenant"
)

// Unauthorized is the 401 of a request whose token is no good. shownToken is
// what is told back of the token.
func Unauthorized(status int, shownToken, requiredAccess string) *Error {
	return API(status, "unauthorized", "Unauthorized", Details{
		{"invalid_token", shownToken}, {"reason", ReasonToken}, {"required_access", requiredAccess},
	}, "")
}

// Forbidden is the answer to a request whose good token lacks the access or is
// not of the tenant; status is 401 in this stack. tenant "" is null.
func Forbidden(status int, shownToken, requiredAccess, tenant string) *Error {
	var shown any
	if tenant != "" {
		shown = tenant
	}
	return API(status, "unauthorized", "Unauthorized", Details{
		{"invalid_token", shownToken}, {"reason", ReasonPermission}, {"required_access", requiredAccess}, {"tenant_uuid", shown},
	}, "")
}

// AuthUnreachable is the 503 of a guarded service that cannot have a token
// checked (errors.md §2.2). It names no host: the store is nobody's business.
func AuthUnreachable() *Error {
	return API(http.StatusServiceUnavailable, "authentication-server-unreachable", "Authentication server unreachable",
		Details{{"original_error", "the token store is unavailable"}}, "")
}

// body encodes e as it stands on the wire.
func (e *Error) body(now time.Time) []byte {
	b := []byte(nil)
	switch e.style {
	case reason:
		b = append(b, `{"reason": [`...)
		b = ascii.AppendString(b, e.text)
		b = append(b, `], "timestamp": [`...)
		b = appendTimestamp(b, now)
		b = append(b, `], "status_code": `...)
		b = strconv.AppendInt(b, int64(e.Status), 10)
	case api:
		b = append(b, `{"message": `...)
		if e.object != nil {
			b = append(b, e.object...)
		} else {
			b = ascii.AppendString(b, e.text)
		}
		b = append(b, `, "error_id": `...)
		if e.shifted {
			b = e.details.append(b)
			b = append(b, `, "details": `...)
			b = ascii.AppendString(b, e.resource)
		} else {
			b = ascii.AppendString(b, e.id)
			b = append(b, `, "details": `...)
			b = e.details.append(b)
		}
		b = append(b, `, "timestamp": `...)
		b = appendTimestamp(b, now)
		if e.resource != "" && !e.shifted {
			b = append(b, `, "resource": `...)
			b = ascii.AppendString(b, e.resource)
		}
	default:
		b = append(b, `{"message": `...)
		b = ascii.AppendString(b, e.text)
	}
	return append(b, '}', '\n')
}

func (d Details) append(b []byte) []byte {
	b = append(b, '{')
	for i, f := range d {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = ascii.AppendString(b, f.Key)
		b = append(b, ": "...)
		switch v := f.Value.(type) {
		case string:
			b = ascii.AppendString(b, v)
		default:
			j, err := ascii.Marshal(v)
			if err != nil { // a programming mistake must not cost the answer
				j = []byte("null")
			}
			b = append(b, j...)
		}
	}
	return append(b, '}')
}

// appendTimestamp writes Unix seconds with a fraction.
func appendTimestamp(b []byte, t time.Time) []byte {
	return strconv.AppendFloat(b, float64(t.UnixMicro())/1e6, 'f', -1, 64)
}

// AsError returns the answer err stands for: itself when it is an [Error],
// 503 when the store is unavailable or the time to ask it was up, 500 for what
// nobody foresaw.
func AsError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, form.ErrTooLarge):
		return errTooLarge
	case errors.Is(err, form.ErrSyntax):
		return errBody
	case errors.Is(err, store.ErrInvalid):
		return errValue.Because(err)
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrSchema),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return errUnavailable.Because(err)
	default:
		return errInternal.Because(err)
	}
}

// WriteError answers the request with err. What went wrong inside goes to log
// and never to the client.
func WriteError(w http.ResponseWriter, r *http.Request, log *Log, now time.Time, err error) {
	e := AsError(err)
	log.tell(r, e, now)
	e.Write(w, now)
}

// Write answers with e and logs nothing.
func (e *Error) Write(w http.ResponseWriter, now time.Time) {
	if e.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	if e.header[0] != "" {
		w.Header().Set(e.header[0], e.header[1])
	}
	WriteJSON(w, e.Status, e.body(now))
}

const jsonType = "application/json"

// WriteJSON answers with a body that is JSON already.
func WriteJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	// Fresh values for every answer: handlers around this one edit them in
	// place, as Caddy's header directive does when it replaces text.
	values := []string{jsonType, strconv.Itoa(len(body))}
	h["Content-Type"], h["Content-Length"] = values[:1:1], values[1:]
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client is gone; there is nobody to tell
}

// NoContent answers 204. The reference says which type the body would have.
func NoContent(w http.ResponseWriter) {
	w.Header()["Content-Type"] = []string{jsonType}
	w.WriteHeader(http.StatusNoContent)
}

// WriteUnavailable answers 503 where there is no service to ask any more.
func WriteUnavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	WriteJSON(w, errUnavailable.Status, errUnavailable.body(time.Time{}))
}

// RedactToken returns what may be shown of a token: its last eight characters,
// as the reference's logs do. What is too short to be a token is not shown at
// all, since it may be a password sent in the wrong place.
func RedactToken(token string) string {
	const shown = 8
	if token == "" {
		return ""
	}
	if len(token) < 4*shown {
		return "XXXXXXXX"
	}
	return "XXXXXXXX" + strings.ToValidUTF8(token[len(token)-shown:], "X")
}
