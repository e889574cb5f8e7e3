package httpapi

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// Throttle slows down who guesses passwords.
type Throttle interface {
	// Wait is how long a login from an address has to wait, 0 for not at
	// all, and Failed records that one failed.
	Wait(login, addr string) time.Duration
	Failed(login, addr string)
}

// SlowDown is the 429 of who has to wait before a password is even looked at,
// nil when he need not. t nil slows nobody down.
func SlowDown(t Throttle, login, addr string) error {
	if t == nil {
		return nil
	}
	wait := t.Wait(login, addr)
	if wait <= 0 {
		return nil
	}
	return Reason(http.StatusTooManyRequests, "Too many failed logins").
		With("Retry-After", strconv.FormatInt(int64(math.Ceil(wait.Seconds())), 10))
}

// Failed records a wrong password with t, which may be nil.
func Failed(t Throttle, login, addr string) {
	if t != nil {
		t.Failed(login, addr)
	}
}

// AuthenticationFailed is the 401 of a wrong login or password, whichever it
// was.
func AuthenticationFailed() *Error { return Reason(http.StatusUnauthorized, "Authentication Failed") }

// Busy is the 503 of a password for which no core could be had in time.
func Busy(err error) *Error {
	return Message(http.StatusServiceUnavailable, "Too many logins at once, try again later").Because(err)
}
