package telemetry

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The variables that decide whether and how spans are sent. OpenTelemetry's own packages read the
// others, such as the headers, the timeout, the sampler and the attributes of the resource.
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ lists them.
const (
	envDisabled       = "OTEL_SDK_DISABLED"
	envExporter       = "OTEL_TRACES_EXPORTER"
	envEndpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	envTracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	envProtocol       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	envTracesProtocol = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
)

// protocol is a form of OTLP. None sends nothing.
type protocol string

const (
	none     protocol = ""
	overHTTP protocol = "http/protobuf"
	overGRPC protocol = "grpc"
)

// choose returns how spans are sent. That is not at all unless a collector or the exporter is
// named. The default protocol is that of the specification.
func choose(lookup func(string) (string, bool)) (protocol, error) {
	get := func(name string) string {
		v, _ := lookup(name)
		return strings.TrimSpace(v)
	}
	off, _ := strconv.ParseBool(get(envDisabled))
	exporters := strings.FieldsFunc(get(envExporter), func(r rune) bool {
		return r == ',' || r == ' '
	})
	switch {
	case off, slices.Equal(exporters, []string{"none"}):
		return none, nil
	case len(exporters) == 0:
		if get(envEndpoint)+get(envTracesEndpoint) == "" {
			return none, nil
		}
	case !slices.Contains(exporters, "otlp"):
		return none, fmt.Errorf("%s=%q: use otlp or none", envExporter, exporters[0])
	}
	p := protocol(cmp.Or(get(envTracesProtocol), get(envProtocol), string(overHTTP)))
	if p != overHTTP && p != overGRPC {
		return none, fmt.Errorf("%s: %q: use %s or %s", envProtocol, string(p), overHTTP, overGRPC)
	}
	return p, nil
}
