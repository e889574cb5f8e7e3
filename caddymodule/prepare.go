package caddymodule

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc"
)

// prepareTimeout bounds one attempt to make the database ready.
const prepareTimeout = 10 * time.Second

// healEvery is how long to wait between attempts while it is down. Tests make
// it shorter.
var healEvery = 2 * time.Second

// prepare makes the database ready, once for each service, administrator and
// defaults: a reload finds it done. When it fails and must is false, it goes on
// trying in the background until it succeeds or the service ends.
func (sh *shared) prepare(s soft, must bool) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.prepared && sh.ready == s.wants() {
		return nil
	}
	log := slog.New(sh.sink)
	err := sh.prepareOnce(s.bootstrap, log)
	switch {
	case err == nil:
		sh.prepared, sh.ready = true, s.wants()
		return nil
	case must:
		return fmt.Errorf("preparing the database: %w", err)
	}
	log.Warn("the database is not ready: requests that need it are answered 503 until it is", slog.Any("error", err))
	if !sh.healing {
		sh.healing = true
		go sh.heal(log)
	}
	return nil
}

func (sh *shared) prepareOnce(b *authsvc.Bootstrap, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(sh.ended, prepareTimeout)
	defer cancel()
	done, err := sh.Prepare(ctx, b)
	if done.Migrated {
		log.Info("created the schema in an empty database")
	}
	tellSynced(log, done.Synced)
	if done.AdministratorCreated {
		log.Info("created the first administrator", slog.String("user", b.User))
	}
	if done.GeneratedPassword != "" {
		// To the terminal of whoever started it and not to the log, which
		// is kept and copied.
		fmt.Fprintf(os.Stderr, "\nxivo-auth: first administrator %q, password %s\n"+
			"xivo-auth: this is shown once; change it with: xivo-auth user passwd %s\n\n", b.User, done.GeneratedPassword, b.User)
	}
	return err
}

// heal tries again and again, each time for the configuration in force: there
// may have been reloads since. It is done when what it prepared is what is in
// force then: one that was loaded meanwhile, and whose own attempt failed, left
// it to this one.
func (sh *shared) heal(log *slog.Logger) {
	tick := time.NewTicker(healEvery)
	defer tick.Stop()
	for {
		select {
		case <-sh.ended.Done():
			return
		case <-tick.C:
		}
		g := sh.inForce()
		if g == nil {
			continue // stopped; the end is near
		}
		if !sh.enter() {
			return
		}
		err := sh.prepareOnce(g.soft.bootstrap, log)
		sh.leave()
		if err == nil && sh.healed(g) {
			log.Info("the database is ready")
			return
		}
	}
}

// healed notes that the database was prepared for g, and reports whether nothing
// is left to do.
func (sh *shared) healed(g *generation) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if len(sh.stack) == 0 {
		return false // stopped; the end is near
	}
	wants := sh.stack[len(sh.stack)-1].soft.wants()
	if g.soft.wants() == wants {
		sh.prepared, sh.ready = true, wants
	}
	sh.healing = !sh.prepared || sh.ready != wants
	return !sh.healing
}
