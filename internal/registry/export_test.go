package registry

import "net/http"

// WithTransport changes how connections are made.
func WithTransport(change func(*http.Transport)) Option {
	return func(r *Repository) { change(r.transport) }
}
