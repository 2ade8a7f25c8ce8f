package resolver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

const (
	batchPath  = repoPath + ".git/info/lfs/objects/batch"
	objectPath = "/store/object"
)

var pointer = git.LFSPointer{OID: sha256, Size: 4}

// located is an answer of the batch API about pointer, with more in the action.
func located(href, header string) http.HandlerFunc {
	return answer(http.StatusOK, lfsType+"; charset=utf-8", fmt.Sprintf(
		`{"transfer": "basic", "objects": [{"oid": %q, "size": 4, "actions": {"download": `+
			`{"href": %q, "header": {%s}, "expires_in": 10}}}]}`, pointer.OID, href, header))
}

// here answers with an address on the server itself.
func here(header string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		located("http://"+r.Host+objectPath+"?sig=s3cr3t", header)(w, r)
	}
}

func object4(body string) http.HandlerFunc {
	return answer(http.StatusOK, "application/octet-stream", body)
}

// download gets the pointer's object.
func download(t *testing.T, c *Client, remote git.Remote, hosts ...string) (string, error) {
	t.Helper()
	found, err := c.LFSObjects(t.Context(), remote, hosts, []git.LFSPointer{pointer})
	if err != nil {
		return "", err
	}
	if found[pointer] == nil {
		return "", errNotThere
	}
	body, err := found[pointer](t.Context())
	if err != nil {
		return "", err
	}
	defer body.Close()
	content, err := io.ReadAll(body)
	return string(content), err
}

var errNotThere = errors.New("not there")

func TestLFSObjects(t *testing.T) {
	s := newServer(t, map[string]http.HandlerFunc{batchPath: here(`"X-Key": "value"`),
		objectPath: object4("good")})
	got, err := download(t, s.clientWithToken("t0ken", WithUserAgent("test/1")), s.remote(t))
	seen := s.seen()
	if err != nil || got != "good" || len(seen) != 2 {
		t.Fatalf("%q, %v after %d requests", got, err, len(seen))
	}
	for i, r := range seen {
		if r.auth != "Basic eC1hY2Nlc3MtdG9rZW46dDBrZW4=" ||
			r.header.Get("User-Agent") != "test/1" {
			t.Errorf("request %d: %v", i, r.header)
		}
	}
	if seen[0].header.Get("Accept") != lfsType || seen[0].header.Get("Content-Type") != lfsType ||
		seen[1].header.Get("X-Key") != "value" {
		t.Errorf("headers %v, %v", seen[0].header, seen[1].header)
	}
	var body map[string]any
	err = json.Unmarshal([]byte(seen[0].body), &body)
	if err != nil || body["operation"] != "download" ||
		fmt.Sprint(body["objects"]) != "[map[oid:"+sha256+" size:4]]" {
		t.Errorf("asked %s", seen[0].body)
	}
}

// TestLFSBatches: a request asks for 100 objects.
func TestLFSBatches(t *testing.T) {
	s := newServer(t, map[string]http.HandlerFunc{
		batchPath: func(w http.ResponseWriter, r *http.Request) {
			var body struct{ Objects []map[string]any }
			_ = json.NewDecoder(r.Body).Decode(&body) // a wrong one has no objects
			for _, o := range body.Objects {
				o["error"] = map[string]any{"code": 404}
			}
			text, _ := json.Marshal(body)
			answer(200, lfsType, strings.Replace(string(text), "Objects", "objects", 1))(w, r)
		}})
	var all []git.LFSPointer
	for i := range 250 {
		all = append(all, git.LFSPointer{OID: fmt.Sprintf("%064x", i)})
	}
	found, err := s.client().LFSObjects(t.Context(), s.remote(t), nil, all)
	if err != nil || len(found) != 0 || len(s.seen()) != 3 {
		t.Errorf("%d found, %v, %d requests", len(found), err, len(s.seen()))
	}
}

// TestFault68_LFSAtAnotherHost: an object is got only from a host that is allowed, which never sees
// the repository's credential, also after a redirect and if the server returns it.
func TestFault68_LFSAtAnotherHost(t *testing.T) {
	other := newServer(t, map[string]http.HandlerFunc{objectPath: object4("good")})
	address := other.URL + objectPath
	basic := `"Authorization": "Basic eC1hY2Nlc3MtdG9rZW46dDBrZW4="`
	for name, c := range map[string]struct {
		routes    map[string]http.HandlerFunc
		fails     bool   // with the host allowed
		wantsAuth string // at the other host
	}{
		"plain":      {routes: map[string]http.HandlerFunc{batchPath: located(address, "")}},
		"own header": {routes: map[string]http.HandlerFunc{batchPath: located(address, basic)}},
		"its header": {routes: map[string]http.HandlerFunc{
			batchPath: located(address, `"authorization": "Bearer theirs"`)},
			wantsAuth: "Bearer theirs"},
		"redirect": {routes: map[string]http.HandlerFunc{
			batchPath: here(basic), objectPath: redirect(307, address)}},
		"redirect with its header": {routes: map[string]http.HandlerFunc{
			batchPath:  here(`"Authorization": "Bearer theirs"`),
			objectPath: redirect(302, address)}},
		"credential in the address": {routes: map[string]http.HandlerFunc{
			batchPath: located(address+"?t=t0ken", "")}, fails: true},
	} {
		s := newServer(t, c.routes)
		client, before := s.clientWithToken("t0ken"), len(other.seen())
		_, err := download(t, client, s.remote(t), "elsewhere.example")
		if at, host := errdef.SituationOf(err); !errors.Is(err, ErrInvalidAnswer) ||
			at != errdef.LFSHostNotAllowed || host != other.host() {
			t.Errorf("%s: %v in %q of %q", name, err, at, host)
		}
		if n := len(other.seen()); n != before {
			t.Errorf("%s: the other host was asked", name)
		}
		got, err := download(t, client, s.remote(t), other.host())
		switch seen := other.seen()[before:]; {
		case c.fails:
			if len(seen) > 0 || !errors.Is(err, ErrInvalidAnswer) {
				t.Errorf("%s: %v after %d requests", name, err, len(seen))
			}
		case err != nil || got != "good" || len(seen) != 1 || seen[0].auth != c.wantsAuth:
			t.Errorf("%s: %q, %v: %+v", name, got, err, seen)
		}
	}
}

// TestLFSAddressExpires: a refused address is asked for once more.
func TestLFSAddressExpires(t *testing.T) {
	denied := answer(http.StatusForbidden, "application/xml", "<Error>expired ?sig=s3cr3t</Error>")
	s := newServer(t, map[string]http.HandlerFunc{batchPath: here(""),
		objectPath: inTurn(denied, object4("good"))})
	if got, err := download(t, s.client(), s.remote(t)); err != nil || got != "good" {
		t.Errorf("%q, %v", got, err)
	}
	s = newServer(t, map[string]http.HandlerFunc{batchPath: here(""), objectPath: denied})
	_, err := download(t, s.client(), s.remote(t))
	if !errors.Is(err, ErrUnauthorized) || len(s.seen()) != 4 {
		t.Errorf("%v after %d requests", err, len(s.seen()))
	}
}

// TestLFSRefusals: each failure is of its kind, and no text has an address or a credential.
func TestLFSRefusals(t *testing.T) {
	item := func(text string) http.HandlerFunc {
		return answer(200, lfsType, `{"objects": [{"oid": "`+sha256+`", "size": 4, `+text+`}]}`)
	}
	failing := func(code int) http.HandlerFunc {
		return item(fmt.Sprintf(`"error": {"code": %d, "message": "no"}`, code))
	}
	const message = `{"message": "sorry"}`
	for name, c := range map[string]struct {
		batch, object http.HandlerFunc
		want          error
	}{
		"missing":          {batch: failing(404), want: errNotThere},
		"gone":             {batch: failing(410), want: errNotThere},
		"of another size":  {batch: failing(422), want: errNotThere},
		"no action":        {batch: item(`"actions": {}`), want: errNotThere},
		"object forbidden": {batch: failing(403), want: ErrUnauthorized},
		"object limited":   {batch: failing(429), want: ErrRateLimited},
		"object failing":   {batch: failing(503), want: ErrUnavailable},
		"object odd":       {batch: failing(302), want: ErrInvalidAnswer},
		"no code":          {batch: item(`"error": {}`), want: ErrInvalidAnswer},
		"denied":           {batch: answer(401, lfsType, message), want: ErrUnauthorized},
		"no quota":         {batch: answer(403, lfsType, message), want: ErrUnauthorized},
		"no LFS":           {batch: answer(404, lfsType, message), want: ErrNotFound},
		"limited":          {batch: answer(429, lfsType, message), want: ErrRateLimited},
		"failing":          {batch: answer(502, lfsType, message), want: ErrUnavailable},
		"login page":       {batch: answer(200, "text/html", "<html>"), want: ErrInvalidAnswer},
		"redirect":         {batch: redirect(302, "/login?token="+canary), want: ErrInvalidAnswer},
		"not JSON":         {batch: answer(200, lfsType, `{`), want: ErrInvalidAnswer},
		"nothing": {batch: answer(200, lfsType, `{"objects": []}`),
			want: ErrInvalidAnswer},
		"null": {batch: answer(200, lfsType, `{"objects": [null]}`),
			want: ErrInvalidAnswer},
		"another transfer": {batch: answer(200, lfsType, `{"transfer": "ssh", "objects": []}`),
			want: ErrInvalidAnswer},
		"another object": {batch: answer(200, lfsType, `{"objects": [{"oid": "x"}]}`),
			want: ErrInvalidAnswer},
		"too large": {batch: answer(200, lfsType, `{"objects": [`+
			strings.Repeat(" ", maxLFSAnswer)+`]}`), want: ErrInvalidAnswer},
		"size": {batch: answer(200, lfsType, `{"objects": [{"oid": "`+sha256+
			`", "size": 5, "actions": {"download": {"href": "https://x.example/"}}}]}`),
			want: ErrInvalidAnswer},
		"no address": {batch: item(`"actions": {"download": {}}`), want: ErrInvalidAnswer},
		"user in it": {batch: located("https://u:s3cr3t@x.example/", ""),
			want: ErrInvalidAnswer},
		"file":           {batch: located("file:///etc/passwd", ""), want: ErrInvalidAnswer},
		"relative":       {batch: located(objectPath+"?sig=s3cr3t", ""), want: ErrInvalidAnswer},
		"not a URL":      {batch: located("https://x\x7f/s3cr3t", ""), want: ErrInvalidAnswer},
		"header":         {batch: here(`"X": 1`), want: ErrInvalidAnswer},
		"object missing": {object: answer(404, "text/plain", "s3cr3t"), want: ErrInvalidAnswer},
		"store failing":  {object: answer(503, "text/plain", "s3cr3t"), want: ErrUnavailable},
		"store limited":  {object: answer(429, "text/plain", "s3cr3t"), want: ErrRateLimited},
		"loop":           {object: redirect(302, objectPath+"?sig=s3cr3t"), want: ErrInvalidAnswer},
		"larger":         {object: object4("good and more"), want: ErrInvalidAnswer},
		"cut off": {object: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "4")
			_, _ = io.WriteString(w, "go") // the connection closes
		}, want: ErrUnavailable},
	} {
		if c.batch == nil {
			c.batch = here("")
		}
		routes := map[string]http.HandlerFunc{batchPath: c.batch}
		if c.object != nil {
			routes[objectPath] = c.object
		}
		s := newServer(t, routes)
		_, err := download(t, s.clientWithToken(canary), s.remote(t))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		for _, secret := range []string{"s3cr3t", "c4n4ry"} {
			if strings.Contains(fmt.Sprint(err), secret) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if asked := c.object != nil; asked != (len(s.seen()) > 1 &&
			s.seen()[len(s.seen())-1].path == objectPath) {
			t.Errorf("%s: %d requests", name, len(s.seen()))
		}
	}
}
