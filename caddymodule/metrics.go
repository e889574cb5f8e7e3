package caddymodule

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
)

// The metrics. They live as long as the process, so that no reload sets one
// back, and every configuration registers them with its own registry. Labels
// come from closed sets and the configuration: never a user, a token, a path
// or an address.
var (
	decisions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "xivo_auth",
		Name:      "decisions_total",
		Help:      "Requests judged, by handler, service, verdict and reason. With mode shadow, all of them passed.",
	}, []string{"handler", "service", "mode", "verdict", "reason"})

	connections = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "xivo_auth",
		Name:      "tied_connections",
		Help:      "WebSockets and streaming responses that end with their token.",
	}, []string{"service"})
)

// registerMetrics makes the metrics part of a configuration's registry, once.
// Those of services are collected from the pool when they are asked for, so
// that nothing of a service outlives it.
func registerMetrics(to prometheus.Registerer) error {
	if to == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{decisions, connections, tallies} {
		if err := to.Register(c); err != nil && !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
			return fmt.Errorf("registering metrics: %w", err)
		}
	}
	return nil
}

// verdictOf is the verdict that comes with each reason.
var verdictOf = map[guard.Reason]guard.Verdict{
	guard.Granted:          guard.Allow,
	guard.PublicRoute:      guard.Anonymous,
	guard.Preflight:        guard.Anonymous,
	guard.NoToken:          guard.Unauthenticated,
	guard.UnknownToken:     guard.Unauthenticated,
	guard.NoUser:           guard.Unauthenticated,
	guard.MissingAccess:    guard.Forbidden,
	guard.WrongTenant:      guard.Forbidden,
	guard.NoRoute:          guard.Forbidden,
	guard.DeniedRoute:      guard.Forbidden,
	guard.BadPath:          guard.Malformed,
	guard.DuplicateToken:   guard.Malformed,
	guard.DuplicateTenant:  guard.Malformed,
	guard.StoreDown:        guard.Unavailable,
	guard.Unsigned:         guard.Unavailable,
	guard.UntrustedProxy:   guard.Forbidden,
	guard.BadForwarding:    guard.Forbidden,
	guard.AliasedForwarded: guard.Forbidden,
}

// counters are the decisions of one handler, looked up beforehand: finding a
// series by its labels would cost a fifth of a decision.
type counters map[string]map[guard.Reason]prometheus.Counter

func newCounters(handler string, policies guard.Policies, shadow bool) counters {
	mode := "enforce"
	if shadow {
		mode = "shadow"
	}
	all := counters{}
	// A path outside every prefix belongs to no service.
	for _, p := range append(guard.Policies{{}}, policies...) {
		of := make(map[guard.Reason]prometheus.Counter, len(verdictOf))
		for reason, verdict := range verdictOf {
			of[reason] = decisions.WithLabelValues(handler, p.Service, mode, verdict.String(), string(reason))
		}
		all[p.Service] = of
	}
	return all
}

func (c counters) count(d *guard.Decision) { c[d.Service()][d.Reason].Inc() }

// connectionsOf counts the tied connections of a service.
func connectionsOf(service string) func(delta int) {
	gauge := connections.WithLabelValues(service)
	return func(delta int) { gauge.Add(float64(delta)) }
}
