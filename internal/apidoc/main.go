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

	"github.com/wazo-edge/xivo-auth/authsvc"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "apidoc:", err)
		os.Exit(1)
	}
}

func run() error {
	w, route := httptest.NewRecorder(), authsvc.Document()
	if err := route.Handle(w, httptest.NewRequest(route.Method, route.Path, nil)); err != nil {
		return err
	}
	if w.Code != http.StatusOK {
		return fmt.Errorf("status %d", w.Code)
	}
	_, err := w.Body.WriteTo(os.Stdout)
	return err
}
