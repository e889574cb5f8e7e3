package tokens

import (
	"encoding/base64"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
)

// errBasic answers what the reference fails on with a 500: a Basic header
// whose payload is no base64.
var errBasic = httpapi.Reason(http.StatusBadRequest, "Invalid Authorization header")

// parseBasic reads the Authorization header as the reference does (token.md
// §3), which is not quite RFC 7617: the scheme is spelled exactly `Basic `,
// bytes outside the base64 alphabet are skipped, UTF-8 is tried before
// ISO-8859-1, and an empty login or password means there are no credentials at
// all. Clients rely on the last: with a refresh token they send `:`.
func parseBasic(header string) (login, password string, err error) {
	payload, ok := strings.CutPrefix(header, "Basic ")
	if !ok {
		return "", "", nil
	}
	raw, err := decodeBase64(payload)
	if err != nil {
		return "", "", errBasic
	}
	text := string(raw)
	if !utf8.Valid(raw) {
		text = latin1(raw)
	}
	login, password, ok = strings.Cut(text, ":")
	if !ok || login == "" || password == "" {
		return "", "", nil
	}
	return login, password, nil
}

// decodeBase64 decodes like Python's lenient decoder: what is not in the
// alphabet is dropped, data ends at the first complete padding, and only a
// quantum that cannot be finished is an error.
func decodeBase64(s string) ([]byte, error) {
	kept := make([]byte, 0, len(s))
	pads := 0
	for i := range len(s) {
		c := s[i]
		if c == '=' {
			// Two pads end a quantum of two characters, one pad a quantum of
			// three; elsewhere padding is noise.
			pads++
			if n := len(kept) % 4; n >= 2 && n+pads >= 4 {
				break
			}
			continue
		}
		if isBase64(c) {
			kept = append(kept, c)
			pads = 0
		}
	}
	if n := len(kept) % 4; n == 1 || n > 1 && n+pads < 4 {
		return nil, base64.CorruptInputError(len(s))
	}
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(kept)))
	n, err := base64.RawStdEncoding.Decode(out, kept)
	return out[:n], err
}

func isBase64(c byte) bool {
	return 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '+' || c == '/'
}

// latin1 reads every byte as the code point of the same number.
func latin1(raw []byte) string {
	runes := make([]rune, len(raw))
	for i, b := range raw {
		runes[i] = rune(b)
	}
	return string(runes)
}
