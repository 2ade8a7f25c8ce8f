package cli

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/cli/browser"
	"github.com/spf13/cobra"

	"git.moleculesai.app/molecule-ai/pinion/cmd/internal/page"
	"git.moleculesai.app/molecule-ai/pinion/cmd/pinion/internal/cli/flags"
)

const pageLong = `Open the web page of a server in the browser: what is built at the moment, the
templates, the history, what takes the disk, and what doctor finds.

The server may listen on a unix socket, which no browser reaches: the page is served on the loopback
interface of this machine while the command runs. The link works once, in one browser. Ctrl-C ends
the page.

A server that listens on TCP has the same page at its own address, with its token to sign in.`

const pageExample = `  pinion serve & pinion page
  pinion page --server unix:///run/pinion/pinion.sock
  pinion page --no-open --server https://pinion.example --token-file /etc/pinion/token`

func (a *app) pageCommand() *cobra.Command {
	f := &buildsFlags{}
	var listen string
	var noOpen bool
	cmd := &cobra.Command{
		Use:     "page [flags]",
		Short:   "Open the web page of a server",
		Long:    pageLong,
		Example: pageExample,
		Args:    flags.Positional(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.page(cmd.Context(), f, listen, !noOpen)
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0",
		"loopback `address` of the page; the port 0 is any that is free")
	cmd.Flags().BoolVar(&noOpen, "no-open", false, "print the link and open no browser")
	return cmd
}

func (a *app) page(ctx context.Context, f *buildsFlags, listen string, open bool) error {
	if f.server == "" {
		socket, err := usualSocket(a.env, "--server")
		if err != nil {
			return err
		}
		f.server = socket
	}
	s, err := a.remote(f, true)
	if err != nil {
		return err
	}
	if err := s.Ping(ctx); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return flags.Errorf("--listen %s: use a loopback address with a port, like 127.0.0.1:7467",
			listen)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("listen for the browser: %w", err)
	}
	local := page.NewLocal(l.Addr().String(), s.Proxy())
	h := &http.Server{Handler: local, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: log.New(a.program.Stderr, "pinion: ", 0)}
	defer context.AfterFunc(ctx, func() { _ = h.Close() })()
	fmt.Fprintln(a.program.Stdout, local.Link())
	if open {
		go a.openBrowser(local.Link()) // some openers end with the browser
	}
	if err := h.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the page: %w", err)
	}
	return nil
}

// openBrowser opens a link. The link is printed already, so a machine without a browser is no
// failure.
func (a *app) openBrowser(link string) {
	browser.Stdout, browser.Stderr = a.program.Stderr, a.program.Stderr
	if err := browser.OpenURL(link); err != nil {
		fmt.Fprintln(a.program.Stderr, "pinion: no browser can be opened here; open the link by "+
			"hand:", a.clean(err.Error()))
	}
}
