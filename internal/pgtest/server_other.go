//go:build !unix

package pgtest

import "context"

// Server is a private cluster; this system cannot run one.
type Server struct{ DSN string }

// Start returns [ErrMissing].
func Start(context.Context, ...string) (*Server, error) { return nil, ErrMissing }

// StartPrimary returns [ErrMissing].
func StartPrimary(context.Context) (*Server, error) { return nil, ErrMissing }

// Standby returns [ErrMissing].
func (s *Server) Standby(context.Context) (*Server, error) { return nil, ErrMissing }

// Restart returns [ErrMissing].
func (s *Server) Restart(context.Context) error { return ErrMissing }

// Kill does nothing.
func (s *Server) Kill() error { return nil }

// Shutdown does nothing.
func (s *Server) Shutdown() error { return nil }

// Crash does nothing.
func (s *Server) Crash() error { return nil }

// Stop does nothing.
func (s *Server) Stop() error { return nil }
