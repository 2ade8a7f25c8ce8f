package parts

import (
	"bytes"
	"crypto/subtle"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// GitHabits are what other git servers do differently. The zero value is git's own server.
type GitHabits struct {
	// OldProtocol lets no Git-Protocol header through: the server speaks version 0, as Gogs does.
	OldProtocol bool
	// CommandStatus, with OldProtocol, is the answer to a command of version 2 instead of git's
	// own, which is an empty one.
	CommandStatus int
	// NoUnborn refuses the argument unborn, and does not advertise it, as JGit does.
	NoUnborn bool
	// NoSuffix has repositories at their URLs without ".git" alone, as Azure DevOps does.
	NoSuffix bool
	// GitAgents answers only to user agents that begin with git/.
	GitAgents bool
	// User and Password are required if User is not empty.
	User, Password string
	// Renamed redirects from a repository's old name to the new one.
	Renamed map[string]string
	// Dumb serves nothing but the files of the repositories.
	Dumb bool
}

// SetHabits changes what the server does, from the next request on.
func (g *GitHTTP) SetHabits(h GitHabits) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.habits = h
}

// ServeHTTP implements http.Handler.
func (g *GitHTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	h := g.habits
	g.mu.Unlock()
	if h.refuses(w, r) || h.redirects(w, r) {
		return
	}
	if h.Dumb {
		serveFile(w, r, g.dir)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	isCommand := bytes.Contains(body, []byte("command=ls-refs"))
	switch {
	case h.OldProtocol && isCommand && h.CommandStatus != 0:
		http.Error(w, "what is this?", h.CommandStatus)
		return
	case h.OldProtocol:
		r.Header.Del("Git-Protocol")
	case h.NoUnborn && isCommand && bytes.Contains(body, []byte("unborn")):
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		_, _ = io.WriteString(w, "0019ERR unexpected unborn") // the client may be gone
		return
	}
	g.backend(w, r, h.NoUnborn)
}

// refuses answers a request that the server would not answer at all.
func (h GitHabits) refuses(w http.ResponseWriter, r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	isUser := subtle.ConstantTimeCompare([]byte(user+"\x00"+password),
		[]byte(h.User+"\x00"+h.Password)) == 1
	switch {
	case h.GitAgents && !strings.HasPrefix(r.UserAgent(), "git/"),
		h.NoSuffix && strings.Contains(r.URL.Path, ".git/"):
		http.NotFound(w, r)
	case h.User != "" && !isUser:
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(w, "who are you?", http.StatusUnauthorized)
	default:
		return false
	}
	return true
}

// redirects answers a request for a repository that was renamed.
func (h GitHabits) redirects(w http.ResponseWriter, r *http.Request) bool {
	for from, to := range h.Renamed {
		rest, ok := strings.CutPrefix(strings.TrimPrefix(r.URL.Path, "/"), from)
		if !ok || rest != "" && rest[0] != '.' && rest[0] != '/' {
			continue
		}
		target := "/" + to + rest
		if r.URL.RawQuery != "" {
			target += "?" + r.URL.RawQuery
		}
		http.Redirect(w, r, target, http.StatusTemporaryRedirect)
		return true
	}
	return false
}

// serveFile serves a file below a folder. The folder of a repository ends in ".git".
func serveFile(w http.ResponseWriter, r *http.Request, root string) {
	name := filepath.Join(root, filepath.FromSlash(path.Clean(r.URL.Path)))
	content, err := os.ReadFile(name)
	switch {
	case r.Method != http.MethodGet:
		http.Error(w, "only files here", http.StatusMethodNotAllowed)
	case err != nil:
		http.NotFound(w, r)
	default:
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(content) // the client may be gone
	}
}
