package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"git.moleculesai.app/molecule-ai/pinion"
	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/server"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

// usualSocket returns the address of this user's server. flag is the one that names another.
func usualSocket(env flags.Environment, flag string) (string, error) {
	if !filepath.IsAbs(env.RuntimeDir) {
		return "", flags.Errorf("XDG_RUNTIME_DIR is unset, so there is no folder for the "+
			"socket; use %s unix:///path", flag)
	}
	return "unix://" + filepath.Join(env.RuntimeDir, "pinion", "pinion.sock"), nil
}

func isTCP(address string) bool { return strings.HasPrefix(address, "tcp://") }

// listenAll listens at all addresses, or at none.
func (a *app) listenAll(
	f *serveFlags, hasToken bool, log *slog.Logger,
) (all []net.Listener, err error) {
	defer func() {
		if err != nil {
			_ = closeAll(all)
		}
	}()
	for _, address := range f.listen {
		if address != server.Inherit {
			l, err := server.Listen(address)
			if err != nil {
				return all, err
			}
			all = append(all, l)
			continue
		}
		passed, err := server.Inherited(a.env.ListenPID, a.env.ListenFDs)
		if err != nil {
			return all, flags.Errorf("--listen %s: %w", address, err)
		}
		all = append(all, passed...)
	}
	for _, l := range all {
		at := l.Addr().Network() + "://" + l.Addr().String() // with the port that was chosen for 0
		if isTCP(at) && !hasToken {                          // of the service manager
			return all, tokenMissing(at)
		}
		log.Info("serving at " + at)
		tcp, ok := l.Addr().(*net.TCPAddr)
		if ok && !tcp.IP.IsLoopback() && !f.access.hasTLS() {
			log.Warn(fmt.Sprintf("%s can be reached from other machines, and the token is sent "+
				"there in clear text; use --tls-cert, or listen on 127.0.0.1 behind a proxy with "+
				"TLS", at))
		}
	}
	return all, f.access.secure(all, log)
}

func closeAll(listeners []net.Listener) (err error) {
	for _, l := range listeners {
		err = errors.Join(err, l.Close())
	}
	return err
}

func tokenMissing(at string) error {
	return flags.Errorf("--listen %s: TCP needs a token; set --token-file, --tokens-file or %s", at,
		pinion.EnvServeToken)
}

// readyTimeout bounds the check of the image store at the start.
const readyTimeout = 10 * time.Second

// warnUnready logs if the image store does not answer. The server starts without waiting for it,
// and serves when it answers. The caller must call stop.
func warnUnready(ctx context.Context, s *session) (stop func()) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	var done sync.WaitGroup
	done.Go(func() {
		if err := s.Ready(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn(fmt.Sprintf("requests for images will fail until this is mended: %v", err))
		}
	})
	return func() {
		cancel()
		done.Wait()
	}
}

// reportState sends a state to the service manager that started the program, by sd_notify(3). An
// empty socket means that there is none.
func reportState(socket, state string, log *slog.Logger) {
	if socket == "" {
		return
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err == nil {
		defer c.Close()
		_, err = c.Write([]byte(state))
	}
	if err != nil {
		log.Warn(fmt.Sprintf("the service manager was not told %s: %v", state, err))
	}
}
