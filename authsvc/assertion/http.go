package assertion

import (
	"bytes"
	"net/http"
	"strconv"

	"github.com/wazo-edge/xivo-auth/authsvc/httpapi"
)

// JWKS returns the public keys as a JWK Set (RFC 7517), the one that signs
// first.
func (s *Signer) JWKS() []byte { return bytes.Clone(s.jwks) }

// Route serves the public keys of the signer in force. No token is needed:
// upstreams have none, and the keys are no secret.
func Route(current func() *Signer) httpapi.Route {
	return httpapi.Route{Method: http.MethodGet, Path: "/0.1/jwks.json", Handle: func(w http.ResponseWriter, _ *http.Request) error {
		body := append(current().JWKS(), '\n')
		h := w.Header()
		h.Set("Content-Type", "application/jwk-set+json")
		// How long a new key has to be published before it signs: see Config.
		h.Set("Cache-Control", "public, max-age=300")
		h.Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(body) // the client is gone; there is nobody to tell
		return nil
	}}
}
