// Command workspace-server creates containers of templates on demand, as a platform's workspace
// server would: it makes sure of the image through Pinion, tells the client how that goes, and
// creates the container from the image's ID. README.md says how to try it.
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
	parallel := flag.Int("max-parallel", 2, "builds at once; the others queue")
	grace := flag.Duration("grace", 30*time.Second, "how long requests may go on after SIGTERM")
	s := &server{}
	flag.DurationVar(&s.deadline, "deadline", 30*time.Minute, "for one request, a build included")
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
	// By then ctx has ended, so what is still being saved for later builds is given up.
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

// serve ends in two steps: first nobody new is let in, then, after the grace, those inside are
// asked to leave.
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
	// Whoever waits for a build leaves it now, and with the last one the build ends.
	leave()
	waiting, done = context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer done()
	return srv.Shutdown(waiting)
}
