package caddymodule

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/wazo-edge/xivo-auth/authsvc/guard"
)

// Traces: what a request costs here, as spans below the one that Caddy's
// tracing directive makes. The provider is that span's, so without it, or for a
// request that is not sampled, there are none, at the cost of one look into the
// context.
//
// A trace is read by more people than a database and kept for longer than a
// token: attributes come from closed sets and the configuration, and none is a
// user, a token, a tenant, a path or the text of an error.
const (
	tracer = "github.com/wazo-edge/xivo-auth"

	attrVerdict = "xivo_auth.verdict"
	attrReason  = "xivo_auth.reason"
	attrCache   = "xivo_auth.cache"
	attrService = "xivo_auth.service"
	attrShadow  = "xivo_auth.shadow"
	attrOutcome = "xivo_auth.outcome"
	attrRoute   = "http.route"
	attrPath    = "url.path"
)

// childSpan begins a span of what is done below the one in ctx. It is nil, and
// ctx as it was, when nobody records.
func childSpan(ctx context.Context, what string) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, nil
	}
	return parent.TracerProvider().Tracer(tracer).Start(ctx, "xivo_auth "+what)
}

// endDecision ends the span of a decision; nil is none.
func endDecision(span trace.Span, d *guard.Decision, shadow bool) {
	if span == nil {
		return
	}
	attrs := make([]attribute.KeyValue, 0, 6)
	attrs = append(attrs, attribute.String(attrVerdict, d.Verdict.String()), attribute.String(attrReason, string(d.Reason)))
	if d.LookedUp() {
		attrs = append(attrs, attribute.String(attrCache, d.State.String()))
	}
	if service := d.Service(); service != "" {
		attrs = append(attrs, attribute.String(attrService, service))
	}
	if d.Route != nil {
		attrs = append(attrs, attribute.String(attrRoute, d.Route.Template))
	}
	if shadow {
		attrs = append(attrs, attribute.Bool(attrShadow, true))
	}
	span.SetAttributes(attrs...)
	if d.Verdict == guard.Unavailable {
		span.SetStatus(codes.Error, string(d.Reason))
	}
	span.End()
}

// traceStore observes the operations of a store.
func traceStore(ctx context.Context, op string) (context.Context, func(outcome string)) {
	ctx, span := childSpan(ctx, op)
	if span == nil {
		return ctx, func(string) {}
	}
	return ctx, func(outcome string) {
		span.SetAttributes(attribute.String(attrOutcome, outcome))
		if outcome == "unavailable" || outcome == "failed" {
			span.SetStatus(codes.Error, outcome)
		}
		span.End()
	}
}
