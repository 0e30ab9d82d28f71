package daemon

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/solate/medispatcher"
	"github.com/solate/medispatcher/push"
)

var _ push.Tracer = (*tracer)(nil)

// tracer sends spans of fan-outs and attempts to an OTLP endpoint.
type tracer struct {
	provider *sdktrace.TracerProvider
	spans    trace.Tracer
	context  propagation.TraceContext
}

// The variables of OpenTelemetry that switch tracing on; the library reads its others itself.
const (
	otlpEndpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	otlpTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
)

// newTracer starts tracing if the environment has an endpoint, and returns nil if not.
func newTracer(ctx context.Context, getenv func(name string) string, info medispatcher.Dispatcher) (*tracer, error) {
	endpoint := getenv(otlpTracesEndpoint)
	if base := getenv(otlpEndpoint); endpoint == "" && base != "" {
		endpoint = strings.TrimSuffix(base, "/") + "/v1/traces"
	}
	if endpoint == "" {
		return nil, nil //nolint:nilnil // tracing is off
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint))
	if err != nil {
		return nil, fmt.Errorf("tracing: %w; check %s", err, otlpEndpoint)
	}
	about, err := resource.New(ctx, resource.WithFromEnv(), resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.version", info.Version), attribute.String("service.instance.id", info.ID)))
	if err == nil && getenv("OTEL_SERVICE_NAME") == "" {
		about, err = resource.Merge(resource.NewSchemaless(attribute.String("service.name", "medispatcher")), about)
	}
	if err != nil {
		return nil, fmt.Errorf("tracing: %w; check OTEL_RESOURCE_ATTRIBUTES", err)
	}
	t := &tracer{provider: sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))}
	t.spans = t.provider.Tracer("github.com/solate/medispatcher")
	return t, nil
}

// Attempt is part of push.Tracer.
func (t *tracer) Attempt(d *medispatcher.Delivery, target string, header http.Header) func(int, string) {
	carrier := propagation.HeaderCarrier(header)
	ctx := t.context.Extract(context.Background(), carrier)
	ctx, span := t.spans.Start(ctx, "push "+d.Message.Topic, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("messaging.system", "medispatcher"),
		attribute.String("messaging.operation.name", "push"),
		attribute.String("messaging.destination.name", d.Message.Topic),
		attribute.String("messaging.message.id", d.Message.ID),
		attribute.String("medispatcher.subscription", d.Subscription),
		attribute.Int("medispatcher.attempt", d.Attempt),
		attribute.String("url.full", target),
	))
	t.context.Inject(ctx, carrier)
	return func(status int, problem string) {
		if status != 0 {
			span.SetAttributes(attribute.Int("http.response.status_code", status))
		}
		if problem != "" {
			span.SetStatus(codes.Error, problem)
		}
		span.End()
	}
}

// routed makes the span of a fan-out, from publishing to the copies. Only messages that
// carry a trace have one: nothing else would join it with the attempts.
func (t *tracer) routed(m *medispatcher.Message, subs []string) {
	header := http.Header{}
	for name, value := range m.Headers {
		if strings.EqualFold(name, "traceparent") || strings.EqualFold(name, "tracestate") {
			header.Set(name, value)
		}
	}
	ctx := t.context.Extract(context.Background(), propagation.HeaderCarrier(header))
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return
	}
	_, span := t.spans.Start(ctx, "fan-out "+m.Topic, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(m.Time), trace.WithAttributes(
		attribute.String("messaging.system", "medispatcher"),
		attribute.String("messaging.operation.name", "fan-out"),
		attribute.String("messaging.destination.name", m.Topic),
		attribute.String("messaging.message.id", m.ID),
		attribute.StringSlice("medispatcher.subscriptions", subs),
	))
	span.End()
}

// close sends what is left.
func (t *tracer) close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return t.provider.Shutdown(ctx)
}
