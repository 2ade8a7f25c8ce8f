package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

const body = `{"schema":1,"event":"failed","text":"hermes failed: <3",` +
	`"url":"https://p/#/builds/B","build":{"name":"hermes","failure":{"log":["the last line"]}}}`

// deliver sends a notification that was signed at that time, and returns the status.
func deliver(t *testing.T, r relay, key string, at time.Time) int {
	t.Helper()
	seconds := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key))
	_, _ = fmt.Fprintf(mac, "msg_1.%s.%s", seconds, body)
	req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	req.Header.Set("webhook-id", "msg_1")
	req.Header.Set("webhook-timestamp", seconds)
	req.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w.Code
}

func TestSlack(t *testing.T) {
	status, got := http.StatusOK, ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		got = string(text)
		w.WriteHeader(status)
	}))
	defer server.Close()
	r := relay{[]byte("key"), []func(notification) error{slack(server.URL)}}
	for name, c := range map[string]struct {
		key  string
		at   time.Time
		want int
	}{
		"signed": {"key", time.Now(), 200}, "forged": {"other", time.Now(), 403},
		"old": {"key", time.Now().Add(-time.Hour), 403},
	} {
		got = ""
		if code := deliver(t, r, c.key, c.at); code != c.want || (got != "") != (c.want == 200) {
			t.Errorf("%s: %d, and Slack got %s", name, code, got)
		}
	}
	deliver(t, r, "key", time.Now())
	if !strings.Contains(got, `hermes failed: \u0026lt;3 \u003chttps://p/#/builds/B|build\u003e`) {
		t.Errorf("Slack got %s", got)
	}
	status = http.StatusForbidden
	if code := deliver(t, r, "key", time.Now()); code != 502 {
		t.Errorf("Slack refuses: %d", code)
	}
}

func TestMail(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	mails := make(chan string, 1)
	go serveMail(l, mails)
	r := relay{[]byte("key"), []func(notification) error{
		mail(l.Addr().String(), "a@example.com", "b@example.com")}}
	if code := deliver(t, r, "key", time.Now()); code != 200 {
		t.Fatal(code)
	}
	got := <-mails
	for _, word := range []string{"Subject: pinion: hermes failed", "hermes failed: <3",
		"the last line"} {
		if !strings.Contains(got, word) {
			t.Errorf("nothing says %q:\n%s", word, got)
		}
	}
}

// serveMail takes one mail by SMTP.
func serveMail(l net.Listener, mails chan<- string) {
	c, err := l.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, "220 x\r\n")
	var mail strings.Builder
	inData := false
	for lines := bufio.NewScanner(c); lines.Scan(); {
		line := lines.Text()
		switch {
		case inData && line == ".":
			inData = false
			mails <- mail.String()
			_, _ = io.WriteString(c, "250 x\r\n")
		case inData:
			mail.WriteString(line + "\n")
		case line == "DATA":
			inData = true
			_, _ = io.WriteString(c, "354 x\r\n")
		case line == "QUIT":
			_, _ = io.WriteString(c, "221 x\r\n")
			return
		default:
			_, _ = io.WriteString(c, "250 x\r\n")
		}
	}
}
