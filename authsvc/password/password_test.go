package password

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The vector of schema.md §5.
const (
	vectorPassword = "s3cre7"
	vectorHash     = "878c7e9b145d950562fa716062f1afaf5103ec93eea153064c663398b1b4526c" +
		"5a617187b34e5bf02588eb56e833b1d2b3a30d330839844a6cc24c95315806ff"
)

func vectorSalt() []byte {
	salt := make([]byte, 64)
	for i := range salt {
		salt[i] = byte(i)
	}
	return salt
}

func TestChecker_Check(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, password, hash string
		salt                 []byte
		want                 bool
	}{
		{"the contract's vector", vectorPassword, vectorHash, vectorSalt(), true},
		{"wrong password", "s3cre8", vectorHash, vectorSalt(), false},
		{"hash in upper case", vectorPassword, strings.ToUpper(vectorHash), vectorSalt(), false},
		{"no hash", vectorPassword, "", vectorSalt(), false},
		{"no salt", vectorPassword, vectorHash, nil, false},
		{"unknown login", vectorPassword, "", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := NewChecker(1).Check(t.Context(), c.password, c.hash, c.salt)
			if err != nil || got != c.want {
				t.Errorf("Check = %v, %v; want %v", got, err, c.want)
			}
		})
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	hash, salt, err := Hash("Pässwörd:")
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := hex.DecodeString(hash); err != nil || len(raw) != 64 || hash != strings.ToLower(hash) || len(salt) != 64 {
		t.Errorf("hash %q, %d bytes of salt", hash, len(salt))
	}
	if ok, err := NewChecker(0).Check(t.Context(), "Pässwörd:", hash, salt); !ok || err != nil {
		t.Errorf("Check of what was hashed: %v, %v", ok, err)
	}
	if _, again, _ := Hash("x"); string(again) == string(salt) {
		t.Error("the same salt twice")
	}
}

// TestChecker_Waits: whether or not the login exists, a check takes a slot, and
// who waits for one can give up.
func TestChecker_Waits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, hash string
		salt       []byte
		want       bool
	}{
		{"known login", vectorHash, vectorSalt(), true},
		{"unknown login", "", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k := NewChecker(2)
				end := compute(t, k)
				defer compute(t, k)() // as if two hashes were being computed

				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if ok, err := k.Check(ctx, vectorPassword, c.hash, c.salt); ok || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("with no slot free: %v, %v", ok, err)
				}
				done, ok := false, false
				go func() { ok, _ = k.Check(t.Context(), vectorPassword, c.hash, c.salt); done = true }()
				synctest.Wait()
				if done {
					t.Fatal("checked although no slot was free")
				}
				end()
				synctest.Wait()
				if !done || ok != c.want {
					t.Errorf("with a slot free: done %v, %v", done, ok)
				}
				if k.queue.running != 1 {
					t.Errorf("%d slots taken afterwards, want the other one", k.queue.running)
				}
			})
		})
	}
}

func TestNewChecker(t *testing.T) {
	t.Parallel()
	if n := NewChecker(3).queue.slots; n != 3 {
		t.Errorf("%d slots, want 3", n)
	}
	if n := NewChecker(0).queue.slots; n < 1 {
		t.Errorf("%d slots", n)
	}
}
