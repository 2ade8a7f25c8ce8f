package piniontest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/client"
)

func (s *Server) ensure(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	patience, err := patienceOf(r)
	if err != nil {
		refuse(w, r, http.StatusBadRequest, "bad-request", err.Error())
		return
	}
	img, b, interest, failure := s.request(name)
	switch {
	case failure != nil:
		fail(w, r, *failure)
	case b == nil:
		writeJSON(w, http.StatusOK, img)
	case patience > 0:
		s.wait(w, r, b, interest, patience)
	default:
		accept(w, b, interest)
	}
}

// patienceOf returns how long a caller wants to wait, as the real server reads it.
func patienceOf(r *http.Request) (time.Duration, error) {
	v := r.URL.Query().Get("wait")
	if v == "" {
		return 0, nil
	}
	if wait, err := strconv.ParseBool(v); err == nil {
		if wait {
			return 25 * time.Second, nil
		}
		return 0, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 || d > 24*time.Hour {
		return 0, errors.New("wait must be true, false or a duration with its unit, at most 24h")
	}
	return d, nil
}

func accept(w http.ResponseWriter, b *build, interest string) {
	w.Header().Set("Location", "/v1/builds/"+b.status.ID)
	writeJSON(w, http.StatusAccepted, client.Accepted{Schema: 1, Build: b.state(),
		Interest: interest})
}

// request returns the image, or a build with an interest in it, or the failure of a look-up.
func (s *Server) request(name string) (client.Image, *build, string, *client.Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[name]++
	t, ok := s.templates[name]
	img := complete(name, t.Image)
	switch {
	case !ok:
		return img, nil, "", &client.Failure{Class: client.ClassNotFound, Origin: "catalogue",
			Message: fmt.Sprintf("%s: catalogue: unknown template", name)}
	case t.Failure != nil && isLookUp(t.Failure.Class):
		return img, nil, "", t.Failure
	case s.made[name]:
		return hit(img), nil, "", nil
	case t.Failure == nil && img.Outcome != client.OutcomeBuilt:
		return img, nil, "", nil
	}
	for _, b := range s.builds {
		if b.name == name {
			if interest, ok := b.join(); ok {
				return img, b, interest, nil
			}
		}
	}
	b := newBuild(len(s.builds)+1, name, t, func(ok bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.made[name] = ok
	})
	interest, _ := b.join() // it fails only if the build has ended, which needs no interest
	s.builds = append(s.builds, b)
	return img, b, interest, nil
}

// isLookUp reports whether failures of a class come before a build.
func isLookUp(c client.Class) bool {
	return c == client.ClassUsage || c == client.ClassNotFound || c == client.ClassUnauthorized ||
		c == client.ClassUnreachable
}

func (s *Server) wait(
	w http.ResponseWriter, r *http.Request, b *build, interest string, patience time.Duration,
) {
	over := time.NewTimer(patience)
	defer over.Stop()
	for {
		_, ended, next := b.after(0)
		if ended {
			break
		}
		select {
		case <-next:
		case <-over.C:
			accept(w, b, interest)
			return
		case <-r.Context().Done():
			b.withdraw(interest)
			return
		}
	}
	if status := b.state(); status.Failure != nil {
		fail(w, r, *status.Failure)
	} else {
		writeJSON(w, http.StatusOK, status.Image)
	}
}

func (s *Server) listTemplates(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []client.Template{}
	for name, t := range s.templates {
		img := complete(name, t.Image)
		list = append(list, client.Template{Name: name, Mode: img.Mode,
			Repository: img.Repository, Ref: "HEAD"})
	}
	slices.SortFunc(list, func(a, b client.Template) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	writeJSON(w, http.StatusOK, map[string]any{"schema": 1, "templates": list})
}

func (s *Server) listImages(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []client.Built{}
	for _, b := range slices.Backward(s.builds) {
		if img := b.state().Image; img != nil {
			list = append(list, client.Built{Name: b.name, Reference: img.Reference, ID: img.ID,
				Revision: img.Revision, Platform: img.Platform, Size: 1, BuiltAt: b.state().Ended})
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"schema": 1, "images": list})
}

func (s *Server) listBuilds(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []client.Build{}
	for _, b := range slices.Backward(s.builds) {
		list = append(list, b.state())
	}
	writeJSON(w, http.StatusOK, map[string]any{"schema": 1, "builds": list})
}

// find returns the build of a request, or answers that there is none.
func (s *Server) find(w http.ResponseWriter, r *http.Request) *build {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.builds {
		if b.status.ID == r.PathValue("id") {
			return b
		}
	}
	refuse(w, r, http.StatusNotFound, "no-such-build", "There is no such build")
	return nil
}

func (s *Server) showBuild(w http.ResponseWriter, r *http.Request) {
	if b := s.find(w, r); b != nil {
		status := b.state()
		status.Schema = 1
		writeJSON(w, http.StatusOK, status)
	}
}

func (s *Server) withdraw(w http.ResponseWriter, r *http.Request) {
	b := s.find(w, r)
	if b == nil {
		return
	}
	switch ended, ok := b.withdraw(r.Header.Get("Pinion-Interest")); {
	case ended:
		refuse(w, r, http.StatusConflict, "build-ended", "The build has ended")
	case !ok:
		refuse(w, r, http.StatusForbidden, "not-yours", "Not an interest in this build")
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	b := s.find(w, r)
	if b == nil {
		return
	}
	last, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64)
	if err != nil && r.Header.Get("Last-Event-ID") != "" {
		refuse(w, r, http.StatusBadRequest, "bad-request", "Last-Event-ID must be an event's id")
		return
	}
	if events, ended, _ := b.after(last); ended && len(events) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		events, ended, next := b.after(last)
		for _, e := range events {
			text, _ := json.Marshal(e) // these types always marshal
			fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Type, text)
			last = e.ID
		}
		_ = http.NewResponseController(w).Flush() // the reader may be gone
		if ended {
			return
		}
		select {
		case <-next:
		case <-r.Context().Done():
			return
		}
	}
}
