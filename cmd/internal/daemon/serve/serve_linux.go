package serve

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/moby/buildkit/util/bklog"
	"github.com/moby/buildkit/util/grpcerrors"
	"github.com/moby/buildkit/version"
	"github.com/sirupsen/logrus"
	fscopy "github.com/tonistiigi/fsutil/copy"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/daemon"
)

type resolverHosts = docker.RegistryHosts

const (
	// maxMessage is the bound of a gRPC message in containerd and buildkitd.
	maxMessage = 16 << 20
	// solveMethod is the call of a build. Calls with readPrefix read the layers of its result.
	solveMethod = "/moby.buildkit.v1.Control/Solve"
	readPrefix  = "/containerd.services.content.v1.Content/"
	// signalGrace is the time for running builds to end after a signal.
	signalGrace = 10 * time.Second
	// replyGrace is the time for the remaining replies once work is over.
	replyGrace = time.Second
	// cancelTimeout bounds the end of cancelled builds.
	cancelTimeout = 10 * time.Second
)

// server is the state of the second process.
type server struct {
	settings daemon.Settings
	started  time.Time
	builder  *builder
	activity *activity
	grpc     *grpc.Server

	stopOnce sync.Once
	stop     chan time.Duration // gets the grace
}

// serve runs BuildKit until it is stopped or its idle time is over.
func serve(s daemon.Settings) error {
	unix.Umask(0) // layers have exactly the requested modes
	fscopy.UmaskIsZero = true
	logrus.SetOutput(os.Stderr)
	logrus.SetFormatter(&logrus.TextFormatter{FullTimestamp: true, DisableColors: true})

	ending, end := context.WithCancel(context.Background())
	defer end()
	b, err := newBuilder(ending, s)
	if err != nil {
		return err
	}
	srv := &server{settings: s, started: time.Now(), builder: b, activity: newActivity(),
		stop: make(chan time.Duration, 1)}
	srv.grpc = srv.newGRPC()
	l := &listener{serve: srv.grpc.Serve, settings: s}
	if err := l.open(s.Socket); err != nil {
		return errors.Join(err, b.Close())
	}
	go l.keepOpen(ending)
	bklog.L.Infof("pinion %s with BuildKit %s serves %s, root %s, snapshots in %s, idle exit "+
		"after %s", s.Version, version.Version, s.Socket, s.Root, b.snapshotter, s.Idle)
	report(daemon.Ready)

	grace := <-srv.awaitStop(ending)
	end()
	l.close() // a new command waits until the daemon has ended
	srv.drain(grace)
	bklog.L.Info("ended")
	return b.Close()
}

// awaitStop returns a channel that gets the grace when the daemon is to end: after a signal, a stop
// request or its idle time.
func (s *server) awaitStop(ctx context.Context) <-chan time.Duration {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT)
	go func() {
		<-signals
		bklog.L.Info("stopped by a signal")
		s.activity.close(false)
		s.end(signalGrace)
	}()
	go s.activity.expire(s.settings.Idle, ctx.Done(), func() {
		bklog.L.Infof("idle for %s", s.settings.Idle)
		s.end(0)
	})
	return s.stop
}

func (s *server) end(grace time.Duration) { s.stopOnce.Do(func() { s.stop <- grace }) }

// drain gives builds and the deliveries of their results the grace to end. Then it cancels the rest
// and waits for it.
func (s *server) drain(grace time.Duration) {
	if !s.activity.awaitQuiet(grace) {
		builds, _ := s.activity.state()
		bklog.L.Infof("cancelling all calls, among them %d builds", builds)
	} else if closedWithin(after(s.grpc.GracefulStop), replyGrace) {
		return
	}
	// The rest ends with the namespace.
	closedWithin(after(s.grpc.Stop), cancelTimeout)
}

// after runs f and returns a channel that is closed at its end.
func after(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		f()
		close(done)
	}()
	return done
}

func closedWithin(c <-chan struct{}, d time.Duration) bool {
	select {
	case <-c:
		return true
	case <-time.After(d):
		return false
	}
}

func (s *server) newGRPC() *grpc.Server {
	srv := grpc.NewServer(
		grpc.ChainUnaryInterceptor(s.unary, grpcerrors.UnaryServerInterceptor),
		grpc.ChainStreamInterceptor(s.stream, grpcerrors.StreamServerInterceptor),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
		grpc.WaitForHandlers(true),
	)
	s.builder.Register(srv)
	daemon.Register(srv, s)
	return srv
}

var errStopping = status.Error(codes.Unavailable, "the managed BuildKit is shutting down; retry")

func kindOf(method string) kind {
	switch {
	case method == solveMethod:
		return build
	case strings.HasPrefix(method, readPrefix):
		return delivery
	}
	return query
}

func (s *server) unary(
	ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler,
) (any, error) {
	if daemon.IsControl(info.FullMethod) {
		return handle(ctx, req)
	}
	end, ok := s.activity.begin(kindOf(info.FullMethod))
	if !ok {
		return nil, errStopping
	}
	defer end()
	return handle(ctx, req)
}

func (s *server) stream(
	srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler,
) error {
	end, _ := s.activity.begin(kindOf(info.FullMethod))
	defer end()
	return handle(srv, stream)
}

// Attach implements daemon.Service.
func (s *server) Attach() daemon.Report {
	s.activity.touch()
	return s.Report()
}

// Report implements daemon.Service.
func (s *server) Report() daemon.Report {
	builds, closed := s.activity.state()
	return daemon.Report{
		Version: s.settings.Version, BuildKit: version.Version, Root: s.settings.Root,
		Snapshotter: s.builder.snapshotter,
		Started:     s.started, ActiveBuilds: builds, IdleExit: s.settings.Idle,
		KeepStorage: s.settings.KeepStorage, Stopping: closed,
	}
}

// Stop implements daemon.Service.
func (s *server) Stop(req daemon.StopRequest) daemon.StopReply {
	stopping := s.activity.close(req.IfIdle)
	builds, _ := s.activity.state()
	if stopping {
		bklog.L.Infof("stopped by a request; %d running builds have %s to end", builds, req.Grace)
		s.end(req.Grace)
	}
	return daemon.StopReply{Stopping: stopping, ActiveBuilds: builds}
}
