// Package password derives and checks passwords exactly as the historical
// schema keeps them (schema.md §5): PBKDF2-HMAC-SHA512, 250 000 iterations, 64
// bytes of salt stored raw, 64 bytes of key stored as lower-case hex. There is
// no algorithm marker in the database, so nothing here can be changed while it
// is shared with the reference.
package password

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"runtime"

	"github.com/wazo-edge/xivo-auth/authsvc/client"
)

const (
	iterations = 250_000
	saltSize   = 64
	keySize    = sha512.Size
)

// Hash derives the stored form of password with a fresh random salt. It costs
// about a tenth of a second of one core.
func Hash(password string) (hash string, salt []byte, err error) {
	salt = make([]byte, saltSize)
	rand.Read(salt) // never fails (crypto/rand, Go 1.24)
	hash, err = derive(password, salt)
	return hash, salt, err
}

func derive(password string, salt []byte) (string, error) {
	key, err := pbkdf2.Key(sha512.New, password, salt, iterations, keySize)
	if err != nil {
		return "", fmt.Errorf("deriving a password key: %w", err)
	}
	return hex.EncodeToString(key), nil
}

// Checker checks and hashes passwords, at most a fixed number at once: hashing is pure
// computing, so more at a time than there are cores only makes every one of
// them, and all other work, wait longer. Safe for concurrent use.
type Checker struct {
	queue  queue
	derive func(password string, salt []byte) (string, error)
}

// NewChecker returns a checker that computes at most atOnce hashes at a time;
// zero means one fewer than the cores Go may use, and one at least. The core
// left over is what keeps everything else answering during a storm of logins:
// with none, a check of a token waits for hashes to be preempted, and takes
// hundreds of times as long (BenchmarkHEADUnderLoginStorm).
func NewChecker(atOnce int) *Checker {
	if atOnce <= 0 {
		atOnce = max(1, runtime.GOMAXPROCS(0)-1)
	}
	return &Checker{queue: queue{slots: atOnce}, derive: derive}
}

// Full reports whether a password of the context's client would be refused with
// [ErrBusy] at once: for those who have something to do before they check it,
// which a storm of logins had better not cost. What follows may come out
// otherwise.
func (c *Checker) Full(ctx context.Context) bool { return c.queue.full(client.From(ctx)) }

// Hash is [Hash] in one of the checker's slots: [ErrBusy], or the context's
// error, as of [Checker.Check].
func (c *Checker) Hash(ctx context.Context, password string) (hash string, salt []byte, err error) {
	release, err := c.queue.acquire(ctx)
	if err != nil {
		return "", nil, fmt.Errorf("waiting to hash a password: %w", err)
	}
	defer release()
	return Hash(password)
}

// Check reports whether password is the one behind hash and salt. With an
// empty hash or no salt, as for an unknown login, it does the same work
// against a random salt and reports false: otherwise the answer's time would
// tell which logins exist (Authelia #949). It waits for a free slot in a
// bounded queue, in which clients take turns: [ErrBusy] when that is full or
// takes too long, the context's error when that ends first.
func (c *Checker) Check(ctx context.Context, password, hash string, salt []byte) (bool, error) {
	release, err := c.queue.acquire(ctx)
	if err != nil {
		return false, fmt.Errorf("waiting to check a password: %w", err)
	}
	defer release()
	known := hash != "" && len(salt) > 0
	if !known {
		salt = make([]byte, saltSize)
		rand.Read(salt)
	}
	got, err := c.derive(password, salt)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare([]byte(got), []byte(hash)) == 1 && known, nil
}
