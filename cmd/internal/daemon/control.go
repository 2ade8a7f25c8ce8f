package daemon

import (
	"context"
	"encoding/json"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Beside BuildKit's own API the daemon's socket has a service of ours. Its messages are JSON in a
// BytesValue: both sides are Pinion, of versions that may differ, and JSON ignores the fields that
// it does not know.
const (
	serviceName  = "pinion.daemon.v1.Daemon"
	methodAttach = "/" + serviceName + "/Attach"
	methodReport = "/" + serviceName + "/Report"
	methodStop   = "/" + serviceName + "/Stop"
)

// Report is what a daemon says of itself.
type Report struct {
	// Version of Pinion; BuildKit is the version of BuildKit in it.
	Version     string    `json:"version"`
	BuildKit    string    `json:"buildkit"`
	Root        string    `json:"root"`
	Snapshotter string    `json:"snapshotter"`
	Started     time.Time `json:"started"`
	// ActiveBuilds are the builds under way.
	ActiveBuilds int `json:"active_builds"`
	// IdleExit is how long it stays without work, in nanoseconds; 0 is for ever.
	IdleExit time.Duration `json:"idle_exit"`
	// KeepStorage is how many bytes garbage collection leaves.
	KeepStorage int64 `json:"keep_storage"`
	// Stopping says that it takes no new builds.
	Stopping bool `json:"stopping"`
}

// StopRequest asks a daemon to end.
type StopRequest struct {
	// IfIdle leaves a daemon alone that builds something.
	IfIdle bool `json:"if_idle"`
	// Grace is how long builds under way may go on, in nanoseconds. Then they are cancelled.
	Grace time.Duration `json:"grace"`
}

// StopReply says what became of a [StopRequest].
type StopReply struct {
	Stopping     bool `json:"stopping"`
	ActiveBuilds int  `json:"active_builds"`
}

// Service is the daemon's side.
type Service interface {
	// Attach is a Report for somebody who is about to build: the daemon's idle time begins anew.
	Attach() Report
	Report() Report
	Stop(StopRequest) StopReply
}

// IsControl says whether a gRPC method is this service's, which is no work.
func IsControl(method string) bool {
	return method == methodAttach || method == methodReport || method == methodStop
}

// Register adds the service to a server.
func Register(srv *grpc.Server, s Service) {
	srv.RegisterService(&grpc.ServiceDesc{
		ServiceName: serviceName,
		HandlerType: (*Service)(nil),
		Methods: []grpc.MethodDesc{
			method("Attach", func(s Service, _ struct{}) Report { return s.Attach() }),
			method("Report", func(s Service, _ struct{}) Report { return s.Report() }),
			method("Stop", Service.Stop),
		},
	}, s)
}

func method[Q, A any](name string, answer func(Service, Q) A) grpc.MethodDesc {
	handle := func(srv any, _ context.Context, decode func(any) error,
		_ grpc.UnaryServerInterceptor) (any, error) {
		var msg wrapperspb.BytesValue
		if err := decode(&msg); err != nil {
			return nil, err
		}
		var q Q
		if err := json.Unmarshal(msg.GetValue(), &q); err != nil {
			return nil, err
		}
		text, err := json.Marshal(answer(srv.(Service), q))
		return wrapperspb.Bytes(text), err
	}
	return grpc.MethodDesc{MethodName: name, Handler: handle}
}

// call is the other side.
func call[A any](ctx context.Context, conn grpc.ClientConnInterface, method string,
	q any) (a A, err error) {
	text, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	var msg wrapperspb.BytesValue
	if err := conn.Invoke(ctx, method, wrapperspb.Bytes(text), &msg); err != nil {
		return a, err
	}
	return a, json.Unmarshal(msg.GetValue(), &a)
}
