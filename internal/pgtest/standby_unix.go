//go:build unix

package pgtest

import "context"

// replicating are the settings of a server that can have standbys.
var replicating = []string{"wal_level=replica", "max_wal_senders=8"}

// StartPrimary is [Start] for a server that can have standbys.
func StartPrimary(ctx context.Context) (*Server, error) { return Start(ctx, replicating...) }

// Standby makes a streaming standby of a server from [StartPrimary], as a base
// backup of it, and starts it. It is a server like any other, to be killed,
// restarted and stopped; it takes no writes. What the primary has committed
// shows there a moment later: see pg_wal_replay_pause to make that longer.
func (s *Server) Standby(ctx context.Context) (*Server, error) {
	return start(ctx, s.bin, replicating, func(standby *Server, ctx context.Context) error {
		return standby.run(ctx, "pg_basebackup", "--pgdata="+standby.home.data(), "--dbname="+s.DSN,
			"--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync")
	})
}
