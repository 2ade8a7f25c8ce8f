package server

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// WithLinger keeps a build whose last waiting caller was cut off for that time, so that a caller
// that asks again joins it. By default such a build is cancelled at once.
func WithLinger(d time.Duration) Option { return func(s *Server) { s.linger = d } }

// maxWait bounds the time that a caller can wait.
const maxWait = 24 * time.Hour

// patience returns how long the caller of a request wants to wait for a build. After that it gets
// the build instead. `true` leaves the time to the server, which answers before most proxies give
// up.
func (s *Server) patience(r *http.Request) (time.Duration, *problem) {
	v := r.URL.Query().Get("wait")
	if v == "" {
		return 0, nil
	}
	if wait, err := strconv.ParseBool(v); err == nil {
		if wait {
			return s.limits.patience, nil
		}
		return 0, nil
	}
	d, err := time.ParseDuration(v)
	switch {
	case err != nil:
		return 0, badRequest("wait must be true, false or a duration with its unit, like 90s or 1h")
	case d < 0 || d > maxWait:
		return 0, badRequest(fmt.Sprintf("wait must be between 0s and %s", maxWait))
	}
	return d, nil
}

// waitEnd is why the wait for a build ended.
type waitEnd int

const (
	buildEnded waitEnd = iota
	patienceEnded
	callerLeft // or the server ends
)

// await waits for the end of a build. The caller stays interested in it.
func await(ctx context.Context, c Call, patience time.Duration) waitEnd {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c.Done():
		return buildEnded
	case <-timer.C:
		return patienceEnded
	case <-ctx.Done():
		return callerLeft
	}
}

// keep holds the interest of a caller that was cut off for the server's linger time, and reports
// whether it does. It does not if the server ends.
func (s *Server) keep(c Call, place *place) bool {
	select {
	case <-s.abort:
		return false
	default:
	}
	if s.linger == 0 {
		return false
	}
	s.log.Info(fmt.Sprintf("%s: a caller was cut off; its interest in the build ends in %s",
		c.Status().Name, s.linger))
	token := s.builds.hold(c, place.keep())
	time.AfterFunc(s.linger, func() { _ = s.builds.withdraw(c.ID(), token) }) // perhaps it ended
	return true
}

// waitFor writes the response to a caller that waits for a build: its image, or after the caller's
// patience the build.
func (s *Server) waitFor(
	ctx context.Context, w http.ResponseWriter, c Call, patience time.Duration, place *place,
) (outcome string, p *problem) {
	switch await(ctx, c, patience) {
	case patienceEnded:
		s.accept(w, c, place)
		return "accepted", nil
	case callerLeft:
		if s.keep(c, place) {
			return "cancelled", nil
		}
	case buildEnded:
	}
	return s.result(ctx, w, c)
}

// result writes the image of a build that has ended, or of a hit.
func (s *Server) result(
	ctx context.Context, w http.ResponseWriter, c Call,
) (outcome string, p *problem) {
	img, err := c.Wait(ctx)
	if err != nil {
		return s.waitFailure(ctx, c, err)
	}
	s.writeJSON(w, http.StatusOK, img)
	return string(img.Outcome), nil
}
