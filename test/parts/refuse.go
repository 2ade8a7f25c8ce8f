package parts

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// RefuseFetch stands for a git server that does not do all that a fetch can ask for: it answers a
// fetch (protocol version 2) whose request has a line that begins with one of the words, such as
// "deepen" or "want <hash>", with an error, as git's own server does.
func RefuseFetch(message string, words ...string) Hook {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/git-upload-pack") {
			return false
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return true
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if !asksFor(unzipped(r, body), words) {
			return false
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		text := "ERR " + message
		fmt.Fprintf(w, "%04x%s", len(text)+4, text)
		return true
	}
}

// OldGit makes git speak its old protocol (version 0) with the server, which lets it have only what
// a ref points to unless the server is configured otherwise. Those who are not git are not changed.
func OldGit(_ http.ResponseWriter, r *http.Request) bool {
	if strings.HasPrefix(r.UserAgent(), "git/") {
		r.Header.Del("Git-Protocol")
	}
	return false
}

// asksFor looks at the packet lines: a length of four hexadecimal digits, which stand for a flush
// or a delimiter if less than 4, and a line.
func asksFor(body []byte, words []string) bool {
	var length int
	for len(body) >= 4 {
		if _, err := fmt.Sscanf(string(body[:4]), "%04x", &length); err != nil {
			return false
		}
		length = min(max(length, 4), len(body))
		for _, word := range words {
			if bytes.HasPrefix(body[4:length], []byte(word)) {
				return true
			}
		}
		body = body[length:]
	}
	return false
}

// unzipped is the body without the compression that git uses from 1 KB on.
func unzipped(r *http.Request, body []byte) []byte {
	if r.Header.Get("Content-Encoding") != "gzip" {
		return body
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil
	}
	plain, _ := io.ReadAll(z)
	return plain
}
