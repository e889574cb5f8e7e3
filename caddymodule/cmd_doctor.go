package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"runtime"
	"text/tabwriter"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/wazo-edge/xivo-auth/authsvc/password"
)

// The verdicts of a check.
const (
	doctorOK   = "ok"
	doctorWarn = "warn"
	doctorFail = "fail"
)

// finding is what one check found out, and what to do about it.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, warn, fail
	Detail string `json:"detail"`
	Advice string `json:"advice,omitempty"`
}

// doctor looks a node over: its database, its machine and the server that runs.
type doctor struct {
	dsn, listen string
	address     string // admin address, "" for none
	maxConns    int    // of the store
	grants      int    // that fit into the cache
	feed        string // how the running server hears of revocations: listen, poll, off; "" when it was not asked
	worry       thresholds
	now         func() time.Time
	findings    []finding
}

// thresholds are when what was measured is worth a word.
type thresholds struct {
	// trip is when the database is too far away for every miss of the cache
	// to wait for it.
	trip time.Duration
	// news is when the feed is later than it is meant to be, silence when it
	// says nothing.
	news, silence time.Duration
	// clock and clockFail are differences between clocks. Tokens expire by the
	// clock of the node, and are issued by that of whichever node.
	clock, clockFail time.Duration
	// hash is when users notice how long logging in takes.
	hash time.Duration
}

var usual = thresholds{
	trip: 10 * time.Millisecond,
	news: 50 * time.Millisecond, silence: 10 * time.Second,
	clock: time.Second, clockFail: 30 * time.Second,
	hash: 500 * time.Millisecond,
}

func (d *doctor) ok(check, format string, args ...any) {
	d.findings = append(d.findings, finding{Check: check, Status: doctorOK, Detail: fmt.Sprintf(format, args...)})
}

// warn and fail take advice first, so that no check goes without.
func (d *doctor) warn(check, advice, format string, args ...any) {
	d.findings = append(d.findings, finding{check, doctorWarn, fmt.Sprintf(format, args...), advice})
}

func (d *doctor) fail(check, advice, format string, args ...any) {
	d.findings = append(d.findings, finding{check, doctorFail, fmt.Sprintf(format, args...), advice})
}

// failed counts the checks that failed.
func (d *doctor) failed() (n int) {
	for _, f := range d.findings {
		if f.Status == doctorFail {
			n++
		}
	}
	return n
}

func doctorCommand() caddycmd.Command {
	return caddycmd.Command{
		Name:  "doctor",
		Usage: "[--dsn <dsn>] [--listen <dsn>] [--address <admin>] [--max-conns <n>] [--grants <n>] [--format text|json]",
		Short: "Looks for what is wrong with the database, this machine and the server",
		Long: `
Checks what the service relies on, and says what to do about what it finds:
whether the database answers and how fast, what its role may do, its schema, the
log and the triggers of the revocation feed, how long news takes, the clocks,
how many connections the database allows, whether the way there is encrypted,
whether the cache holds all tokens, and how fast passwords are hashed. For an
SQLite file, who may read it takes the place of what a server is asked.

With --address it asks the running server, too: whether it is ready, its feed
and its cache. It changes nothing. Over the feed of Postgres it sends the end of
a token that never was, which nodes note and forget.

	xivo-auth doctor
	xivo-auth doctor --dsn 'postgres://asterisk:secret@db/asterisk?sslmode=verify-full' --max-conns 64
	xivo-auth doctor --address localhost:2019 --format json

Arguments can be read by every user of the machine: prefer XIVO_AUTH_DSN for a
DSN with a password. The exit status is 1 when a check failed; warnings do not
count.
`,
		CobraFunc: func(cmd *cobra.Command) {
			d := doctor{worry: usual, now: time.Now}
			dsn := dsnFlag(cmd)
			flags := cmd.Flags()
			flags.StringVar(&d.listen, "listen", "", "DSN that the server's store listens on, where a pooler stands before the other")
			flags.StringVar(&d.address, "address", "", "admin address of the running server (default: it is not asked)")
			flags.IntVar(&d.maxConns, "max-conns", 32, "max_conns of the server's store")
			flags.IntVar(&d.grants, "grants", defaultGrants, "tokens that fit into the server's cache; with --address, the server tells")
			format := flags.String("format", "text", "text or json")
			cmd.Args = cobra.NoArgs
			cmd.RunE = func(cmd *cobra.Command, _ []string) error {
				if *format != "text" && *format != "json" {
					return fmt.Errorf("--format is text or json, not %q", *format)
				}
				cmd.SilenceUsage = true
				ctx, cancel := context.WithTimeout(cmd.Context(), commandTimeout)
				defer cancel()
				d.dsn = *dsn
				d.examine(ctx)
				if err := d.print(cmd.OutOrStdout(), *format); err != nil {
					return err
				}
				if n := d.failed(); n > 0 {
					cmd.SilenceErrors = true // all is said
					return fmt.Errorf("checks failed: %d", n)
				}
				return nil
			}
		},
	}
}

// examine makes every check that applies.
func (d *doctor) examine(ctx context.Context) {
	d.findings = nil
	if d.address != "" {
		d.server() // first: it tells how large its cache is
	}
	d.database(ctx)
	d.hashing()
}

// hashing measures one password: what bounds how many can log in.
func (d *doctor) hashing() {
	took := time.Duration(math.MaxInt64)
	for range 3 { // the best of them: the machine may be busy
		began := time.Now()
		if _, _, err := password.Hash("a password of the doctor's"); err != nil {
			d.fail("passwords", "This is a mistake of the program: please report it.", "%v", err)
			return
		}
		took = min(took, time.Since(began))
	}
	cores := max(1, runtime.GOMAXPROCS(0)-1) // as password.NewChecker
	detail := fmt.Sprintf("%s for one, on %d of %d cores: %.1f logins a second",
		took.Round(time.Millisecond), cores, runtime.GOMAXPROCS(0), float64(cores)/took.Seconds())
	if took > d.worry.hash {
		d.warn("passwords", "Logins are slow here: give the process more or faster cores. Checks of tokens do not suffer.", "%s", detail)
		return
	}
	d.ok("passwords", "%s", detail)
}

// print writes the findings.
func (d *doctor) print(w io.Writer, format string) error {
	if format == "json" {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(struct {
			Failed int       `json:"failed"`
			Checks []finding `json:"checks"`
		}{d.failed(), d.findings})
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, f := range d.findings {
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\n", f.Status, f.Check, f.Detail)
		if f.Advice != "" {
			_, _ = fmt.Fprintf(t, "\t\t-> %s\n", f.Advice)
		}
	}
	return t.Flush()
}
