// Command apidoc prints the OpenAPI document that the service serves, for a
// validator to look at:
//
//	go run ./internal/apidoc > api.yml
package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlite"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "apidoc:", err)
		os.Exit(1)
	}
}

func run() error {
	// Opening a store touches nothing, and the document needs none.
	db, err := sqlite.Open(filepath.Join(os.TempDir(), "apidoc-unused.db"), store.Options{})
	if err != nil {
		return err
	}
	svc, err := authsvc.New(authsvc.Config{Store: db}, authsvc.Settings{CleanupInterval: -1})
	if err != nil {
		return err
	}
	w := httptest.NewRecorder()
	svc.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/0.1/api/api.yml", nil))
	if w.Code != http.StatusOK {
		return fmt.Errorf("status %d", w.Code)
	}
	if _, err := w.Body.WriteTo(os.Stdout); err != nil {
		return err
	}
	return svc.Close()
}
