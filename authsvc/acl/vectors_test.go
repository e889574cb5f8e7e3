package acl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// vector is one question and its answer, in our fixture and in the contract's.
type vector struct {
	Name      string   `json:"name"`
	ID        int      `json:"id"`
	Method    string   `json:"method"`
	ACL       []string `json:"acl"`
	AuthID    *string  `json:"auth_id"`
	SessionID *string  `json:"session_id"`
	Required  *string  `json:"required"`
	Want      string   `json:"want"`
	Verdict   string   `json:"verdict"`
}

func (v vector) self() Self {
	id := func(s *string) []byte {
		if s == nil {
			return []byte("None")
		}
		return []byte(*s)
	}
	return Self{AuthID: id(v.AuthID), SessionID: id(v.SessionID)}
}

// answer asks the package through its Go API.
func (v vector) answer(t *testing.T) string {
	t.Helper()
	if v.Required == nil {
		return "allow" // nothing is required: the caller does not even ask
	}
	a := Compile(v.ACL)
	var allowed bool
	switch v.Method {
	case "matches":
		allowed = a.Match(*v.Required, v.self())
	case "may_add":
		allowed = a.MayAdd(*v.Required, v.self())
	case "may_remove":
		allowed = a.MayRemove(*v.Required, v.self())
	default:
		t.Fatalf("vector %d %q: unknown method %q", v.ID, v.Name, v.Method)
	}
	return verdict(allowed)
}

// line is the question as [MatchLines] reads it.
func (v vector) line(t *testing.T) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

func verdict(allowed bool) string {
	if allowed {
		return "allow"
	}
	return "deny"
}

func readVectors(t testing.TB, path string) []vector {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return vectors
}

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t, "testdata/vectors.json") {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			if got := v.answer(t); got != v.Want {
				t.Errorf("%s: list %q, required %q: got %s, want %s", v.Method, v.ACL, *v.Required, got, v.Want)
			}
			if v.Required == nil || v.Method != "matches" {
				return
			}
			self := v.self()
			slow := reference{v.ACL, string(self.AuthID), string(self.SessionID)}
			if got := verdict(slow.match(*v.Required)); got != v.Want {
				t.Errorf("the reference disagrees with the fixture: got %s, want %s", got, v.Want)
			}
			// The way around the tries has to give the same verdicts.
			if got := verdict(Compile(v.ACL).matchLinear(*v.Required, self)); got != v.Want {
				t.Errorf("matchLinear: got %s, want %s", got, v.Want)
			}
		})
	}
}

// TestContractVectors holds the package against every vector recorded from the
// reference implementation, where the contract is checked out beside us.
func TestContractVectors(t *testing.T) {
	t.Parallel()
	path := findUp(filepath.Join("shared", "contract", "acl_vectors.json"))
	if path == "" {
		t.Skip("no parent directory has shared/contract/acl_vectors.json: the contract's vectors were not checked")
	}
	vectors := readVectors(t, path)
	if len(vectors) != 404 {
		t.Errorf("%d vectors, want the 404 of the contract", len(vectors))
	}
	// The reference takes ids for regular expressions; here they are literal.
	literalIDs := map[int]string{113: "deny", 114: "deny", 115: "deny"}

	var lines bytes.Buffer
	var want strings.Builder
	for _, v := range vectors {
		v.Want = v.Verdict
		if differs, ok := literalIDs[v.ID]; ok {
			if v.Verdict == differs {
				t.Errorf("vector %d no longer differs", v.ID)
			}
			v.Want = differs
		}
		if got := v.answer(t); got != v.Want {
			t.Errorf("vector %d: %s: list %q, required %q: got %s, want %s",
				v.ID, v.Method, v.ACL, *v.Required, got, v.Want)
		}
		lines.Write(v.line(t))
		fmt.Fprintln(&want, v.Want)
	}
	var got strings.Builder
	if err := MatchLines(&lines, &got); err != nil {
		t.Fatal(err)
	}
	if got.String() != want.String() {
		t.Error("MatchLines answers differently from the Go API")
	}
}

// findUp looks for a file in the working directory and its parents.
func findUp(name string) string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		if path := filepath.Join(dir, name); fileExists(path) {
			return path
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

func fileExists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
