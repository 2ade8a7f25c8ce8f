package main

import (
	"context"
	"os/signal"
	"syscall"
)

// interruptible is cancelled by the first SIGINT or SIGTERM. From then on signals do what they do
// to any program, so that a second Ctrl-C ends it at once.
func interruptible(parent context.Context) (ctx context.Context, stop func()) {
	ctx, stop = signal.NotifyContext(parent, syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
