//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// serveUpstream is the service behind all proxies. It answers every request
// with the same bytes and does nothing else, so that what a proxy costs is
// not hidden behind what a service costs.
func serveUpstream(addr string) error {
	l, err := net.Listen("tcp", addr) //nolint:noctx // until the process ends
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go answerAll(conn)
	}
}

var answer = []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"items\": []}")

// answerAll answers requests without a body, which is all this gets.
func answerAll(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReaderSize(conn, 16<<10)
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		if len(bytes.TrimRight(line, "\r\n")) > 0 {
			continue
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// The parties that peers need and we do not: an issuer of JWTs whose keys
// oauth2-proxy reads, and an introspection endpoint (RFC 7662) that Oathkeeper
// asks.
const (
	issuerAudience = "bench"
	issuerSubject  = "40000000-0000-4000-8000-000000000001"
)

// issuer signs tokens and serves its key.
type issuer struct {
	url string
	key *rsa.PrivateKey
}

// startIssuer serves the two endpoints in this process: they are asked once
// and then cached, so nothing of them is measured.
func startIssuer() (*issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // until the process ends
	if err != nil {
		return nil, err
	}
	i := &issuer{url: "http://" + l.Addr().String(), key: key}
	mux := http.NewServeMux()
	write := func(path string, body any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(body)
		})
	}
	write("/jwks", jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "1", Algorithm: "RS256", Use: "sig"}}})
	write("/introspect", map[string]any{
		"active": true, "sub": issuerSubject, "scope": "confd.users.read", "aud": []string{issuerAudience},
		"exp": time.Now().Add(24 * time.Hour).Unix(), "iss": i.url, "token_type": "Bearer", "token_use": "access_token",
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: patience}
	go func() { _ = server.Serve(l) }()
	return i, nil
}

// token is one that is good for a day.
func (i *issuer) token() (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: i.key, KeyID: "1"}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	now := time.Now()
	return jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: i.url, Subject: issuerSubject, Audience: jwt.Audience{issuerAudience},
		IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(24 * time.Hour)),
	}).Claims(map[string]any{"email": "alice@example.com", "email_verified": true}).Serialize()
}
