package caddymodule

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/wazo-edge/xivo-auth/internal/transcript"
)

const fence = "----------\n"

// TestAdapt compares what Caddyfiles become with testdata/adapt: a Caddyfile, a
// line of dashes, then the JSON or the error.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d fixtures, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(raw), fence)
			got := adapted(t, input)
			if transcript.Updating() {
				if err := os.WriteFile(file, []byte(input+fence+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
			isError := !strings.HasPrefix(want, "{")
			if named := strings.HasPrefix(filepath.Base(file), "err_"); named != isError {
				t.Errorf("files with errors, and only they, are named err_*: %s", want)
			}
		})
	}
}

func adapted(t *testing.T, input string) string {
	t.Helper()
	cfg, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input), nil)
	if err != nil {
		return strings.TrimSpace(err.Error()) + "\n"
	}
	for _, w := range warnings {
		t.Errorf("warning: %s", w)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, cfg, "", "\t"); err != nil {
		t.Fatal(err)
	}
	out.WriteByte('\n')
	return out.String()
}
