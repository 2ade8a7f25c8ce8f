package server

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// checkQuery refuses query parameters that a route does not have, so that a misspelt one is not
// ignored.
func (s *Server) checkQuery(known []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := unknownQuery(r, known); p != nil {
			w.Header().Set("Connection", "close") // without reading a body
			s.writeProblem(w, r, p)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func unknownQuery(r *http.Request, known []string) *problem {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return badRequest("the query: " + err.Error())
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		switch {
		case !slices.Contains(known, name) && len(known) == 0:
			return badRequest(fmt.Sprintf("the query parameter %q is unknown; there are none here",
				name))
		case !slices.Contains(known, name):
			return badRequest(fmt.Sprintf("the query parameter %q is unknown; known are %s", name,
				strings.Join(known, ", ")))
		case len(query[name]) > 1:
			return badRequest(fmt.Sprintf("the query has %s more than once", name))
		}
	}
	return nil
}
