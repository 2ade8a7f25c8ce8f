// Notify takes the notifications of `pinion serve --notify-url` and passes them on to Slack, to a
// mail server, or to both. It needs nothing of Pinion's.
//
//	notify -secret-file secret -slack-url-file slack-url
//	notify -secret-file secret -smtp localhost:25 -from pinion@example.com -to team@example.com
package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/smtp"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:7467", "address to listen on")
	secretFile := flag.String("secret-file", "", "file with the secret of --notify-secret-file")
	slackFile := flag.String("slack-url-file", "", "file with the URL of Slack's incoming webhook")
	server := flag.String("smtp", "", "host:port of the mail server")
	from := flag.String("from", "", "sender of mails")
	to := flag.String("to", "", "recipient of mails")
	flag.Parse()
	r := relay{key: read(*secretFile)}
	if *slackFile != "" {
		r.senders = append(r.senders, slack(string(read(*slackFile))))
	}
	if *server != "" {
		r.senders = append(r.senders, mail(*server, *from, *to))
	}
	s := &http.Server{Addr: *listen, Handler: r, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second}
	log.Fatal(s.ListenAndServe())
}

// read returns a file without blanks around it.
func read(path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	return bytes.TrimSpace(text)
}

// notification is the part of a notification that is passed on.
type notification struct {
	Event string `json:"event"`
	Text  string `json:"text"`
	URL   string `json:"url"`
	Build struct {
		Name    string `json:"name"`
		Failure struct {
			Log []string `json:"log"`
		} `json:"failure"`
	} `json:"build"`
}

type relay struct {
	key     []byte
	senders []func(notification) error
}

// ServeHTTP answers 502 if something could not be passed on, so that Pinion tries again.
func (r relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, 1<<20))
	if err != nil || !r.isSigned(req.Header, body) {
		http.Error(w, "not signed", http.StatusForbidden)
		return
	}
	var n notification
	if err := json.Unmarshal(body, &n); err != nil {
		http.Error(w, "no notification", http.StatusBadRequest)
		return
	}
	var failed []error
	for _, send := range r.senders {
		failed = append(failed, send(n))
	}
	if err := errors.Join(failed...); err != nil {
		log.Print(err)
		http.Error(w, "not passed on", http.StatusBadGateway)
	}
}

// isSigned checks the signature of https://www.standardwebhooks.com, and that it is not old.
func (r relay) isSigned(h http.Header, body []byte) bool {
	at := h.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, r.key)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", h.Get("webhook-id"), at, body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(want), []byte(h.Get("webhook-signature")))
}

// slack posts to an incoming webhook of Slack.
func slack(url string) func(notification) error {
	client := &http.Client{Timeout: 10 * time.Second}
	return func(n notification) error {
		text := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(n.Text)
		if n.URL != "" {
			text += " <" + n.URL + "|build>"
		}
		body, err := json.Marshal(map[string]string{"text": text})
		if err != nil {
			return err
		}
		resp, err := client.Post(url, "application/json", bytes.NewReader(body))
		if err != nil {
			return errors.New("slack does not answer") // the error has the URL, which is a secret
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("slack answers %s", resp.Status)
		}
		return nil
	}
}

// mail sends a mail with the last lines of the log.
func mail(server, from, to string) func(notification) error {
	return func(n notification) error {
		lines := []string{"From: " + from, "To: " + to,
			fmt.Sprintf("Subject: pinion: %s %s", n.Build.Name, n.Event),
			"Date: " + time.Now().Format(time.RFC1123Z), "MIME-Version: 1.0",
			"Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit", "",
			n.Text, n.URL, ""}
		lines = append(lines, n.Build.Failure.Log...)
		return smtp.SendMail(server, nil, from, []string{to}, []byte(strings.Join(lines, "\r\n")))
	}
}
