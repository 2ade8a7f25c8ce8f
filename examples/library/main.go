// Command library is the smallest program that gets its images from Pinion, like a workspace
// server: it prints, for each name on the command line, the reference from which to create a
// container.
//
//	go run ./examples/library claude-code
//	MOLECULE_IMAGE_REGISTRY=registry.example.com/molecule go run ./examples/library claude-code
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"

	"git.moleculesai.app/molecule-ai/pinion"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		slog.Error(err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string) error {
	images, err := pinion.New(pinion.OptionsFromEnv(os.LookupEnv),
		pinion.WithLogger(slog.Default()))
	if err != nil {
		return err
	}
	// Close waits for the build cache to be saved, which may take longer than the images.
	defer images.Close(ctx)
	for _, name := range names {
		reference, err := images.EnsureLocalImage(ctx, name)
		if err != nil {
			return err
		}
		fmt.Println(reference)
	}
	return nil
}
