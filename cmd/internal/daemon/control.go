package daemon

import (
	"context"
	"encoding/json"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The daemon's socket serves the control service beside BuildKit's API. Its messages are JSON in a
// BytesValue. Both sides are Pinion, but their versions may differ, and JSON decoding ignores
// unknown fields.
const (
	serviceName  = "pinion.daemon.v1.Daemon"
	methodAttach = "/" + serviceName + "/Attach"
	methodReport = "/" + serviceName + "/Report"
	methodStop   = "/" + serviceName + "/Stop"
)

// Report describes a daemon.
type Report struct {
	// Version of Pinion, and of the BuildKit in it.
	Version     string    `json:"version"`
	BuildKit    string    `json:"buildkit"`
	Root        string    `json:"root"`
	Snapshotter string    `json:"snapshotter"`
	Started     time.Time `json:"started"`
	// ActiveBuilds is the number of running builds.
	ActiveBuilds int `json:"active_builds"`
	// IdleExit is the idle time after which the daemon exits, in nanoseconds. 0 means never.
	IdleExit time.Duration `json:"idle_exit"`
	// KeepStorage is the size in bytes to which garbage collection trims the cache.
	KeepStorage int64 `json:"keep_storage"`
	// Stopping is set when the daemon refuses new builds.
	Stopping bool `json:"stopping"`
}

// StopRequest asks a daemon to exit.
type StopRequest struct {
	// IfIdle does not stop a daemon with running builds.
	IfIdle bool `json:"if_idle"`
	// Grace is the time for running builds to end, in nanoseconds. After it they are cancelled.
	Grace time.Duration `json:"grace"`
}

// StopReply is the response to a [StopRequest].
type StopReply struct {
	Stopping     bool `json:"stopping"`
	ActiveBuilds int  `json:"active_builds"`
}

// Service is the daemon's side of the control service.
type Service interface {
	// Attach resets the idle time, for a client that is about to build, and returns a Report.
	Attach() Report
	Report() Report
	Stop(StopRequest) StopReply
}

// IsControl reports whether a gRPC method is this service's. Such calls do not count as activity.
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
	handle := func(
		srv any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor,
	) (any, error) {
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

// call invokes a method, on the client's side.
func call[A any](
	ctx context.Context, conn grpc.ClientConnInterface, method string, q any,
) (a A, err error) {
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
