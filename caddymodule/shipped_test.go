package caddymodule

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/google/uuid"
)

// startShipped runs ../Caddyfile as `make run` does, with its files and its
// log in the test's directory, and returns what is said on standard error.
func (n *node) startShipped() (stderr func() string) {
	n.t.Helper()
	welcomeOnce = sync.Once{}
	n.t.Setenv("XDG_DATA_HOME", n.dir)
	n.t.Setenv("XIVO_AUTH_PORT", fmt.Sprint(n.port))
	n.t.Setenv("XIVO_AUTH_ADMIN", fmt.Sprintf("127.0.0.1:%d", n.admin))
	text, err := os.ReadFile("../Caddyfile")
	if err != nil {
		n.t.Fatal(err)
	}
	raw, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, map[string]any{"filename": "Caddyfile"})
	if err != nil || len(warnings) > 0 {
		n.t.Fatalf("adapting the shipped Caddyfile: %v %v", err, warnings)
	}
	var cfg map[string]any
	if err := json.Unmarshal(raw, &cfg); err != nil {
		n.t.Fatal(err)
	}
	cfg["storage"] = map[string]any{"module": "file_system", "root": filepath.Join(n.dir, "storage")}
	log := cfg["logging"].(map[string]any)["logs"].(map[string]any)["default"].(map[string]any)
	log["level"] = "DEBUG" // more than is shipped
	log["writer"] = map[string]any{"output": "file", "filename": filepath.Join(n.dir, "caddy.log"), "roll": false}
	// A race of Caddy's own: it sets the cleaner's ticker while certificates
	// are being made.
	if app, ok := cfg["apps"].(map[string]any)["tls"].(map[string]any); ok {
		app["disable_storage_clean"] = true
	}
	if raw, err = json.Marshal(cfg); err != nil {
		n.t.Fatal(err)
	}
	if err := validate(n.t, string(raw)); err != nil {
		n.t.Fatalf("validating the shipped Caddyfile: %v", err)
	}

	file, err := os.Create(filepath.Join(n.dir, "stderr"))
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	was := os.Stderr
	os.Stderr = file
	err = caddy.Load(raw, true)
	os.Stderr = was
	if err != nil {
		n.t.Fatalf("loading the shipped Caddyfile: %v", err)
	}
	root, err := os.ReadFile(filepath.Join(n.dir, "storage", "pki", "authorities", "local", "root.crt"))
	if err != nil {
		n.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(root)
	n.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool}
	eventually(n.t, "the certificate is made", func() bool {
		_, err := n.once("HEAD", fmt.Sprintf("https://localhost:%d/0.1/status", n.port), "")
		return err == nil
	})
	return func() string {
		text, err := os.ReadFile(filepath.Join(n.dir, "stderr"))
		if err != nil {
			n.t.Fatal(err)
		}
		return string(text)
	}
}

func TestShippedCaddyfile(t *testing.T) {
	n := newNode(t)
	t.Setenv("XIVO_AUTH_BOOTSTRAP_USER", "chief")
	stderr := n.startShipped()
	// No password was given: one is told, there and nowhere else.
	_, rest, ok := strings.Cut(stderr(), `first administrator "chief", password `)
	if !ok {
		t.Fatalf("no password in %q", stderr())
	}
	password, _, _ := strings.Cut(rest, "\n")
	base := fmt.Sprintf("https://localhost:%d", n.port)
	r := n.do("POST", base+"/0.1/token", `{"expiration": 600}`, "Authorization", basic("chief", password))
	if r.status != http.StatusOK {
		t.Fatalf("login: %d %s", r.status, r.body)
	}
	token := tokenOf(t, r.body)
	if r := n.do("GET", base+"/0.1/token/"+token, ""); r.status != http.StatusOK || tokenOf(t, r.body) != token {
		t.Errorf("token: %d %s", r.status, r.body)
	}
	r = n.do("GET", base+"/demo/hello", "", "X-Auth-Token", token, "X-Auth-User-Uuid", forged, "X-Auth-Purpose", forged)
	var who map[string]string
	if err := json.Unmarshal([]byte(r.body), &who); err != nil || r.status != http.StatusOK {
		t.Fatalf("demo: %d %s %v", r.status, r.body, err)
	}
	if uuid.Validate(who["user"]) != nil || who["auth_id"] != who["user"] || uuid.Validate(who["tenant"]) != nil || uuid.Validate(who["session"]) != nil || who["purpose"] != "internal" {
		t.Errorf("demo: %s", r.body)
	}
	if r := n.do("GET", base+"/demo/hello", "", "X-Auth-User-Uuid", forged); r.status != http.StatusUnauthorized || strings.Contains(r.body, forged) {
		t.Errorf("demo without a token: %d %s", r.status, r.body)
	}
	for path, status := range map[string]int{"/": 404, "/demo": 404, "/0.1/nothing": 404, "/0.1/backends": 200} {
		if r := n.do("GET", base+path, ""); r.status != status || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	// Any name leads there, with the one certificate.
	n.client.Transport.(*http.Transport).TLSClientConfig.ServerName = "localhost"
	if r := n.do("HEAD", fmt.Sprintf("https://127.0.0.1:%d/0.1/status", n.port), ""); r.status != http.StatusOK {
		t.Errorf("by address: %d", r.status)
	}
	logs := n.logs()
	for _, want := range []string{"created the first administrator", "-u chief:PASSWORD -X POST", "curl -k " + base + "/0.1/token/$TOKEN"} {
		if !strings.Contains(logs, want) {
			t.Errorf("the log lacks %q", want)
		}
	}
	if strings.Contains(logs, password) || strings.Contains(logs, token) {
		t.Error("the log has the password or the token")
	}
}

// L1: no token, password or DSN gets into a log or out of the admin API.
func TestLog_NoSecrets(t *testing.T) {
	n := newNode(t)
	t.Setenv("XIVO_AUTH_BOOTSTRAP_PASSWORD", adminPassword)
	stderr := n.startShipped()
	base := fmt.Sprintf("https://localhost:%d", n.port)
	token := tokenOf(t, n.do("POST", base+"/0.1/token", "{}", "Authorization", basic("admin", adminPassword)).body)
	unknown := uuid.NewString()
	const wrong, inBody = "wrong-s3cret-0a0b", "body-s3cret-77cc"
	secrets := []string{token, strings.ToUpper(token), unknown, adminPassword, wrong, inBody, basic("admin", adminPassword)[len("Basic "):], basic("admin", wrong)[len("Basic "):]}
	// usual are the ways a token gets into a URL; the others take somebody
	// who means it, yet the service understands them all the same.
	usual := func(tok string) []string {
		return []string{
			"/0.1/token/" + tok, "/0.1/token/" + tok + "?scope=a&tenant=b", "/0.1/token/" + tok + "/", "/0.1/token/" + strings.ToUpper(tok),
			"//0.1/token/" + tok, "/0.1//token/" + tok + "?scope=x", "/api/auth/0.1/token/" + tok + "/scopes/check",
			"/demo/x?token=" + tok, "/demo/x?a=b&token=" + tok + "&c=d", "/0.1/backends?token=" + tok, "//x?token=" + tok,
			"/0.1/nothing?token=" + tok, "/token/" + tok + "/token/" + tok + "?token=" + tok + "&token=" + tok,
		}
	}
	odd := func(tok string) []string {
		return []string{
			"/0.1/token//" + tok, "/0.1/TOKEN/" + tok, "/demo/x?TOKEN=" + tok, "/0.1/%74oken/" + tok, "/demo/x?%74oken=" + tok, "/demo/x?tok%65n=" + tok,
			"/0.1/token%2F" + tok, "/0.1/token/./" + tok, "/" + tok, "/0.1/token/" + strings.ReplaceAll(tok, "-", "%2D"),
		}
	}
	flow := func(paths func(string) []string) {
		for _, tok := range []string{token, unknown} {
			for _, path := range paths(tok) {
				for _, method := range []string{"GET", "DELETE", "PUT"} {
					if method == "DELETE" && tok == token {
						continue
					}
					if _, err := n.try(method, base+path, ""); err != nil {
						t.Fatal(err)
					}
				}
			}
			n.do("GET", base+"/demo/x", "", "X-Auth-Token", tok, "Referer", base+"/demo/x?token="+tok, "Cookie", "token="+tok)
			n.do("GET", base+"/demo/x", "", "X-Auth-Token", tok, "X-Auth-Token", tok)
			n.do("GET", base+"/demo/x", "", "X-Auth-Token", tok, "Wazo-Tenant", "none")
			n.do("GET", base+"/demo/x", "", "X_Auth_Token", tok, "Authorization", "Bearer "+tok)
		}
		n.do("POST", base+"/0.1/token", "{}", "Authorization", basic("admin", wrong))
		n.do("POST", base+"/0.1/token", "{}", "Authorization", "Basic "+adminPassword)
		n.do("POST", base+"/0.1/token", `{"expiration": "`+inBody+`", "refresh_token": "`+token+`"}`, "Authorization", basic("admin", adminPassword))
		n.do("POST", base+"/0.1/token", `{"tenant_id": "x", "saml_session_id": "`+token+`"`, "Authorization", basic("admin", adminPassword))
	}
	check := func() {
		t.Helper()
		outputs := map[string]string{"the log": n.logs(), "standard error": stderr()}
		for _, path := range []string{"/config/", "/metrics", "/reverse_proxy/upstreams", "/pki/ca/local"} {
			resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d%s", n.admin, path))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			outputs["admin "+path] = string(body)
		}
		if !strings.Contains(outputs["admin /config/"], "{env.XIVO_AUTH_BOOTSTRAP_PASSWORD}") || !strings.Contains(outputs["the log"], "handled request") {
			t.Fatal("there is nothing to look at")
		}
		for _, secret := range append(secrets, strings.ReplaceAll(token, "-", "%2D"), strings.ReplaceAll(unknown, "-", "%2D")) {
			for where, text := range outputs {
				for line := range bytes.Lines([]byte(text)) {
					if bytes.Contains(bytes.ToLower(line), []byte(strings.ToLower(secret))) {
						t.Errorf("%s has %s:\n%s", where, secret, line)
						break
					}
				}
			}
		}
	}
	flow(usual)
	check()

	// With a database that is not there.
	secrets = append(secrets, "dsn-s3cret-4d4d")
	t.Setenv("XIVO_AUTH_DSN", fmt.Sprintf("postgres://auth:dsn-s3cret-4d4d@127.0.0.1:%d/auth?sslmode=disable", freePort(t)))
	stderr = n.startShipped()
	flow(usual)
	if r := n.do("GET", base+"/demo/x", "", "X-Auth-Token", uuid.NewString()); r.status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", r.status, r.body)
	}
	if logs := n.logs(); !strings.Contains(logs, "the database is not ready") || !strings.Contains(logs, "request failed") {
		t.Error("the outage is not in the log")
	}
	check()

	t.Run("odd spellings", func(t *testing.T) {
		flow(odd)
		n.t = t
		check()
	})
}
