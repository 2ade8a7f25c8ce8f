// Command example ensures the image of a template through a server of Pinion and prints its ID. It
// starts `pinion serve` unless -server names a server. With -run it starts a container from the ID.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/client"
)

func main() {
	server := flag.String("server", "", "address of a server; empty finds or starts one")
	idle := flag.Duration("idle-exit", 10*time.Minute,
		"idle time after which a started server ends")
	container := flag.String("run", "", "name of a container to start from the image")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr,
			"usage: example [-server ADDRESS | -idle-exit DURATION] [-run NAME] TEMPLATE")
		os.Exit(64)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *server, *idle, *container, flag.Arg(0)); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", client.ClassOf(err), err)
		var e *client.Error
		if errors.As(err, &e) {
			for _, line := range e.Log {
				fmt.Fprintln(os.Stderr, "  ", line)
			}
		}
		os.Exit(1)
	}
}

func run(
	ctx context.Context, server string, idle time.Duration, container, template string,
) error {
	images, err := connect(ctx, server, idle)
	if err != nil {
		return err
	}
	img, err := images.Ensure(ctx, template, func(e client.Event) {
		switch {
		case e.Type == client.EventLog:
			fmt.Fprintln(os.Stderr, "  ", e.Text)
		case e.Step != nil:
			fmt.Fprintf(os.Stderr, "step %d/%d %s: %s\n", e.Step.Number, e.Step.Total, e.Step.State,
				e.Step.Name)
		default:
			fmt.Fprintln(os.Stderr, e.Type)
		}
	})
	if err != nil {
		return err
	}
	fmt.Println(img.ID)
	if container == "" {
		return nil
	}
	return startContainer(ctx, container, img.ID)
}

func connect(ctx context.Context, server string, idle time.Duration) (*client.Client, error) {
	if server != "" {
		return client.New(server, client.WithToken(os.Getenv("PINION_SERVE_TOKEN")))
	}
	return client.Start(ctx, client.WithIdleExit(idle))
}
