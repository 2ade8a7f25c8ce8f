package parts

import (
	"bytes"
	"io"
	"net/http"
)

// LimitBody stands for a proxy that refuses requests with a body larger than a number of bytes, as
// nginx does. Of a body whose length is not announced it reads as much.
func LimitBody(most int64) Hook {
	page := Refusal{http.StatusRequestEntityTooLarge, "text/html", "<html>\r\n<head><title>413 " +
		"Request Entity Too Large</title></head>\r\n<body>\r\n<center><h1>413 Request Entity Too " +
		"Large</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"}
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.ContentLength >= 0 {
			if r.ContentLength > most {
				page.Answer(w)
			}
			return r.ContentLength > most
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, most+1))
		if err != nil || int64(len(body)) > most {
			page.Answer(w)
			return true
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		return false
	}
}
