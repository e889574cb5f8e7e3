package caddymodule

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/wazo-edge/xivo-auth/authsvc"
)

const (
	// prepareTimeout bounds one attempt to make the database ready.
	prepareTimeout = 10 * time.Second
	// healEvery is how long to wait between attempts while it is down.
	healEvery = 2 * time.Second
)

// prepare makes the database ready, once for each service: a reload finds it
// done. When it fails and must is false, it goes on trying in the background
// until it succeeds or the service ends.
func (sh *shared) prepare(b *authsvc.Bootstrap, log *slog.Logger, must bool) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.prepared {
		return nil
	}
	err := sh.prepareOnce(b, log)
	switch {
	case err == nil:
		sh.prepared = true
		return nil
	case must:
		return fmt.Errorf("preparing the database: %w", err)
	}
	log.Warn("the database is not ready: requests that need it are answered 503 until it is", slog.Any("error", err))
	if !sh.healing {
		sh.healing = true
		go sh.heal(b, log)
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

func (sh *shared) heal(b *authsvc.Bootstrap, log *slog.Logger) {
	tick := time.NewTicker(healEvery)
	defer tick.Stop()
	for {
		select {
		case <-sh.ended.Done():
			return
		case <-tick.C:
		}
		if !sh.enter() {
			return
		}
		err := sh.prepareOnce(b, log)
		sh.leave()
		if err == nil {
			sh.mu.Lock()
			sh.prepared, sh.healing = true, false
			sh.mu.Unlock()
			log.Info("the database is ready")
			return
		}
	}
}
