package page

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:embed assets
var assets embed.FS

// Dir is the path below which the files of the page are, index.html as [Dir] itself at "/".
const Dir = "/page/"

// policy lets the page load what its own host serves, and nothing in the document.
// https://www.w3.org/TR/CSP3/
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// Handler serves the page at "/" and its files below [Dir].
func Handler() http.Handler {
	root, err := fs.Sub(assets, "assets")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	files := http.StripPrefix(Dir, http.FileServerFS(root))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		SetHeader(w.Header())
		switch {
		case r.URL.Path == "/":
			http.ServeFileFS(w, r, root, "index.html")
		case r.URL.Path == Dir: // no list of the files
			http.NotFound(w, r)
		default:
			files.ServeHTTP(w, r)
		}
	})
}

// SetHeader sets what a browser must know of each document of the page.
func SetHeader(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-cache") // a new version of the program has other files
}
