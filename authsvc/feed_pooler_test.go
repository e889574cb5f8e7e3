//go:build unix

package authsvc_test

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc"
	"github.com/wazo-edge/xivo-auth/authsvc/guard"
	"github.com/wazo-edge/xivo-auth/authsvc/revocation"
	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/store/postgres"
	"github.com/wazo-edge/xivo-auth/authsvc/store/sqlstore"
	"github.com/wazo-edge/xivo-auth/internal/pgtest"
)

// TestFeed_Pooler: behind a real pgbouncer in transaction mode, which cannot
// listen, nodes hear of each other over a direct connection or by reading the
// log.
func TestFeed_Pooler(t *testing.T) {
	t.Parallel()
	for name, poll := range map[string]time.Duration{"direct connection": 0, "polling": 5 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct := pgtest.DSN(t)
			pooled := startPooler(t, direct)
			o := store.Options{MaxConns: 4, Timeout: time.Minute}
			if poll == 0 {
				o.ListenDSN = direct
			}
			c := newCluster(t, 2, authsvc.Feed{Poll: poll}, func() (*sqlstore.Store, error) { return postgres.Open(pooled, o) })
			tokens := c.known(c.user("alice"), 20)
			for _, token := range tokens {
				c.exec(`delete from auth_token where uuid = $1`, token.UUID)
			}
			c.refused("a deletion through the pooler", tokens...)
		})
	}
}

// TestFeed_PoolerDeaf: a connection through a pooler in transaction mode listens,
// answers each heartbeat, and hears nothing. Nodes that were told nothing better
// notice, do not trust what they have in memory, and say what to do.
func TestFeed_PoolerDeaf(t *testing.T) {
	t.Parallel()
	pooled := startPooler(t, pgtest.DSN(t))
	o := store.Options{MaxConns: 4, Timeout: time.Minute}
	c := newCluster(t, 0, authsvc.Feed{}, func() (*sqlstore.Store, error) { return postgres.Open(pooled, o) })
	a, b := c.join(), c.join()
	tokens := []store.Token{c.mint(c.user("alice")), c.mint(c.user("alice"))}
	for i, node := range []*authsvc.Service{a, b} {
		for round, token := range tokens {
			// Each time it has just found out that it is deaf.
			c.eventually(fmt.Sprintf("node %d notices that it is deaf", i), func() bool {
				s, _ := node.FeedStatus()
				if s.State == revocation.Live {
					t.Fatal("a deaf node counts as live")
				}
				return strings.Contains(s.Err, "pooler in transaction mode") && strings.Contains(s.Err, "feed poll")
			})
			if i > 0 {
				continue
			}
			for j, node := range c.nodes {
				if d := decide(node, token.UUID, ""); d.Verdict != guard.Allow {
					t.Errorf("node %d, a valid token: %v", j, d.Verdict)
				}
			}
			c.exec(`delete from auth_token where uuid = $1`, token.UUID)
			for j, node := range c.nodes {
				if d := decide(node, token.UUID, ""); d.Verdict != guard.Unauthenticated {
					t.Errorf("round %d, node %d, a token deleted elsewhere: %v", round, j, d.Verdict)
				}
			}
		}
	}
}

// startPooler starts a pgbouncer before the database and returns its DSN.
func startPooler(t *testing.T, dsn string) string {
	t.Helper()
	bin, err := exec.LookPath("pgbouncer")
	if err != nil {
		if bin = "/usr/sbin/pgbouncer"; !executable(bin) {
			t.Skip("pgbouncer is not installed: apt-get install pgbouncer")
		}
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	// It refuses to run as root, and must read its files as somebody else.
	dir, err := os.MkdirTemp("", "xivo-auth-pooler") //nolint:usetesting // t.TempDir is below a directory nobody else may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	password, _ := u.User.Password()
	users := write("users.txt", fmt.Sprintf("%q %q\n", u.User.Username(), password))
	config := write("pgbouncer.ini", fmt.Sprintf(`[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
auth_file = %s
pool_mode = transaction
default_pool_size = 4
ignore_startup_parameters = extra_float_digits,search_path,datestyle,client_encoding,application_name
[databases]
%s = host=%s port=%s user=%s
`, port, users, u.Path[1:], u.Hostname(), u.Port(), u.User.Username()))
	cmd := exec.Command(bin, config)
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = conn.Close()
			break
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("pgbouncer ended: %v\n%s", err, &said)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("pgbouncer does not listen")
		}
	}
	u.Host = fmt.Sprintf("127.0.0.1:%d", port)
	return u.String()
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}
