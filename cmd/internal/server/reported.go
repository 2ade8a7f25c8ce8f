package server

import "git.moleculesai.app/molecule-ai/pinion/cmd/internal/outbox"

// WithReported adds what became of commit statuses and of notifications to /metrics. By default
// there are none.
func WithReported(statuses, notifications *outbox.Counts) Option {
	return func(s *Server) { s.statuses, s.notifications = statuses, notifications }
}

// writeSent writes what became of messages.
func writeSent(e exposition, name, help string, c *outbox.Counts) {
	e.all(name, "counter", help, "result", map[string]int64{"sent": c.Sent.Load(),
		"failed": c.Failed.Load(), "dropped": c.Dropped.Load()})
}
