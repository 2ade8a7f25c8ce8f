// Command workspace-server creates containers of templates on demand, like a platform's workspace
// server: it ensures the image through Pinion, reports the progress to the client, and creates the
// container from the image's ID. README.md explains how to try it.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error(err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	listen := flag.String("listen", "127.0.0.1:8080", "`address` to listen on")
	parallel := flag.Int("max-parallel", 2, "builds at once; further ones are queued")
	grace := flag.Duration("grace", 30*time.Second, "how long requests may continue after SIGTERM")
	s := &server{}
	flag.DurationVar(&s.deadline, "deadline", 30*time.Minute, "for one request and its build")
	flag.StringVar(&s.platformURL, "platform-url", "", "PLATFORM_URL of the workspaces")
	flag.StringVar(&s.configPath, "config-path", "/configs",
		"WORKSPACE_CONFIG_PATH of the workspaces")
	flag.Parse()

	var err error
	s.images, err = pinion.New(pinion.OptionsFromEnv(os.LookupEnv),
		pinion.WithLogger(slog.Default()), pinion.WithMaxParallel(*parallel))
	if err != nil {
		return err
	}
	// ctx has ended by then, so an unfinished save of a build cache is abandoned.
	defer s.images.Close(ctx)
	if s.engine, err = s.images.DockerClient(); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	slog.Info("listening on http://" + listener.Addr().String())
	return serve(ctx, listener, s.routes(), *grace)
}

// serve ends in two steps: it accepts no new requests, and after the grace it cancels those in
// progress.
func serve(ctx context.Context, l net.Listener, routes http.Handler, grace time.Duration) error {
	requests, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	srv := &http.Server{
		Handler: routes, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		IdleTimeout:    time.Minute,
		MaxHeaderBytes: 16 << 10, BaseContext: func(net.Listener) context.Context {
			return requests
		},
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	waiting, done := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer done()
	if err := srv.Shutdown(waiting); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	// Requests that wait for a build leave it now. The last one ends the build.
	leave()
	waiting, done = context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	return srv.Shutdown(waiting)
}
