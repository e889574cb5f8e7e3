package authsvc

import (
	"context"
	"errors"
	"fmt"

	"github.com/wazo-edge/xivo-auth/authsvc/store"
	"github.com/wazo-edge/xivo-auth/authsvc/users"
)

// Bootstrap names the first administrator.
type Bootstrap struct {
	User string
	// Password is generated when empty.
	Password string
}

// Prepared tells what [Service.Prepare] did.
type Prepared struct {
	Migrated bool
	// Synced tells what was done about [Settings.Defaults], nil when there
	// are none.
	Synced *store.Synced
	// Administrator is the password of the first administrator when he was
	// created with a generated one: the only chance to learn it.
	AdministratorCreated bool
	GeneratedPassword    string
}

// Prepare makes the database ready: the schema when it is empty, the defaults,
// and the first administrator when it holds no user. It is safe to call on several nodes at
// once, and again after an error. b nil creates nobody.
//
// When the database has a schema this version does not know, the service
// neither reads nor writes it: every request is answered 503 until a later
// Prepare finds that mended.
func (s *Service) Prepare(ctx context.Context, b *Bootstrap) (p Prepared, err error) {
	defer func() {
		// Not on other errors: an outage tells nothing about the schema.
		if foreign := errors.Is(err, store.ErrSchema); foreign || err == nil {
			s.foreign.Store(foreign)
		}
	}()
	state, err := s.Store.State(ctx)
	if err != nil {
		return p, fmt.Errorf("looking at the database: %w", err)
	}
	if state == store.SchemaEmpty {
		if p.Migrated, err = s.Store.Migrate(ctx); err != nil {
			return p, fmt.Errorf("creating the schema: %w", err)
		}
		// In a database that was there before this is left to its owner: see
		// xivo-auth migrate.
		if _, err := s.Store.InstallIndexes(ctx); err != nil {
			return p, fmt.Errorf("making indexes: %w", err)
		}
	}
	if d := s.defaults.Load(); d != nil {
		synced, err := s.Store.SyncDefaults(ctx, *d)
		if err != nil {
			return p, fmt.Errorf("bringing the default policies and groups in: %w", err)
		}
		p.Synced = &synced
	}
	if b == nil || b.User == "" {
		return p, nil
	}
	pass := b.Password
	if pass == "" {
		pass = users.RandomPassword()
	}
	if p.AdministratorCreated, err = s.Users.FirstStart(ctx, b.User, pass); err != nil {
		return p, fmt.Errorf("creating the first administrator: %w", err)
	}
	if p.AdministratorCreated && b.Password == "" {
		p.GeneratedPassword = pass
	}
	return p, nil
}
