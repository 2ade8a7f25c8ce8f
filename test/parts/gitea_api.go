package parts

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// settleTimeout bounds a wait that takes a second on a busy machine.
const settleTimeout = 30 * time.Second

// User is an account on a Gitea.
type User struct{ Name, Password string }

// RepoOptions are choices for CreateRepo; the zero value is an empty public sha1 repository whose
// default branch is main.
type RepoOptions struct {
	Private       bool
	ObjectFormat  ObjectFormat
	DefaultBranch string
}

// CreateUser makes an account.
func (g *Gitea) CreateUser(ctx context.Context, name string) (User, error) {
	u := User{Name: name, Password: adminPassword}
	return u, g.Call(ctx, http.MethodPost, "/admin/users", map[string]any{
		"username": name, "password": u.Password, "email": name + "@pinion.invalid",
		"must_change_password": false,
	}, nil)
}

// CreateToken makes an access token of a user. Default scope: read:repository.
func (g *Gitea) CreateToken(ctx context.Context, u User, scopes ...string) (string, error) {
	if len(scopes) == 0 {
		scopes = []string{"read:repository"}
	}
	var made struct {
		SHA1 string `json:"sha1"`
	}
	body := map[string]any{"name": unique("token"), "scopes": scopes}
	err := g.call(ctx, u, http.MethodPost, "/users/"+u.Name+"/tokens", body, &made)
	return made.SHA1, err
}

// Administrator is the account that StartGitea makes.
func (g *Gitea) Administrator() User { return User{Name: Admin, Password: adminPassword} }

// CreateOrganization makes an organization, which can own repositories as a user does.
func (g *Gitea) CreateOrganization(ctx context.Context, name string) error {
	return g.Call(ctx, http.MethodPost, "/orgs", map[string]any{"username": name}, nil)
}

// CreateRepo makes an empty repository of a user or an organization.
func (g *Gitea) CreateRepo(
	ctx context.Context, owner, name string, opts RepoOptions,
) (Repo, error) {
	r := Repo{Owner: owner, Name: name}
	body := map[string]any{"name": name, "private": opts.Private, "auto_init": false}
	if opts.DefaultBranch != "" {
		body["default_branch"] = opts.DefaultBranch
	}
	if opts.ObjectFormat != "" {
		body["object_format_name"] = string(opts.ObjectFormat)
	}
	if err := g.Call(ctx, http.MethodPost, "/admin/users/"+owner+"/repos", body, nil); err != nil {
		return Repo{}, err
	}
	dir := filepath.Join(g.dir, "benches", unique("r")+".git")
	w, err := newWorkbench(ctx, dir, opts.ObjectFormat, basicAuth(g.url, Admin, adminPassword))
	if err != nil {
		return Repo{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.benches[r] = w
	return r, nil
}

// Settle waits until the branches API shows what was pushed last. Git's own protocol is right as
// soon as Push returns, but Gitea brings its database up to date in the background, and until then
// refuses or forgets what is done to a branch through the API.
func (g *Gitea) Settle(ctx context.Context, r Repo) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	w, err := g.bench(r)
	if err != nil {
		return err
	}
	refs, err := w.git(ctx, nil, "for-each-ref",
		"--format=%(refname:lstrip=2) %(objectname)", "refs/heads/")
	if err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, line := range strings.Split(refs, "\n") {
		branch, want, _ := strings.Cut(line, " ")
		for branch != "" && g.branchTip(ctx, r, branch) != want {
			select {
			case <-ctx.Done():
				return fmt.Errorf("gitea: wait for %s of %s: %w", branch, r, ctx.Err())
			case <-tick.C:
			}
		}
	}
	return nil
}

// branchTip is what the branches API says, "" if it says nothing yet.
func (g *Gitea) branchTip(ctx context.Context, r Repo, branch string) string {
	var b struct {
		Commit struct{ ID string }
	}
	if err := g.Call(ctx, http.MethodGet, "/repos/"+r.String()+"/branches/"+branch, nil,
		&b); err != nil {
		return ""
	}
	return b.Commit.ID
}

// Rename gives a repository another name; the server answers requests for the old one with a
// redirect.
func (g *Gitea) Rename(ctx context.Context, r Repo, name string) (Repo, error) {
	if err := g.Settle(ctx, r); err != nil {
		return Repo{}, err
	}
	if err := g.Call(ctx, http.MethodPatch, "/repos/"+r.String(), map[string]any{"name": name},
		nil); err != nil {
		return Repo{}, err
	}
	renamed := Repo{Owner: r.Owner, Name: name}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.benches[renamed] = g.benches[r]
	delete(g.benches, r)
	return renamed, nil
}

// Delete removes a repository.
func (g *Gitea) Delete(ctx context.Context, r Repo) error {
	if err := g.Call(ctx, http.MethodDelete, "/repos/"+r.String(), nil, nil); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.benches, r)
	return nil
}

// SetPrivate makes a repository private or public.
func (g *Gitea) SetPrivate(ctx context.Context, r Repo, private bool) error {
	return g.Call(ctx, http.MethodPatch, "/repos/"+r.String(),
		map[string]any{"private": private}, nil)
}

// SetDefaultBranch makes an existing branch the default one.
func (g *Gitea) SetDefaultBranch(ctx context.Context, r Repo, branch string) error {
	if err := g.Settle(ctx, r); err != nil {
		return err
	}
	return g.Call(ctx, http.MethodPatch, "/repos/"+r.String(),
		map[string]any{"default_branch": branch}, nil)
}

// CreateBranch makes a branch at an existing commit, branch or tag.
func (g *Gitea) CreateBranch(ctx context.Context, r Repo, name, from string) error {
	if err := g.Settle(ctx, r); err != nil {
		return err
	}
	body := map[string]any{"new_branch_name": name, "old_ref_name": from}
	return g.Call(ctx, http.MethodPost, "/repos/"+r.String()+"/branches", body, nil)
}

// DeleteBranch removes a branch.
func (g *Gitea) DeleteBranch(ctx context.Context, r Repo, name string) error {
	if err := g.Settle(ctx, r); err != nil {
		return err
	}
	if err := g.Call(ctx, http.MethodDelete, "/repos/"+r.String()+"/branches/"+name, nil,
		nil); err != nil {
		return err
	}
	w, err := g.bench(r)
	if err != nil {
		return err
	}
	_, err = w.git(ctx, nil, "update-ref", "-d", "refs/heads/"+name)
	return err
}

// Version is the server's version, such as "1.26.0".
func (g *Gitea) Version(ctx context.Context) (string, error) {
	var v struct{ Version string }
	err := g.Call(ctx, http.MethodGet, "/version", nil, &v)
	return v.Version, err
}

// SupportsSHA256 says whether the server makes sha256 repositories: Gitea does with git 2.42 and
// newer.
func (g *Gitea) SupportsSHA256(ctx context.Context) (bool, error) {
	bench := &workbench{dir: g.dir}
	out, err := bench.git(ctx, nil, "version")
	if err != nil {
		return false, err
	}
	var major, minor int
	if _, err := fmt.Sscanf(out, "git version %d.%d", &major, &minor); err != nil {
		return false, fmt.Errorf("read the version of git from %s: %w", strconv.Quote(out), err)
	}
	return major > 2 || major == 2 && minor >= 42, nil
}

// Call makes a request to /api/v1 as the administrator. A body is sent as JSON, and the answer is
// decoded into out unless that is nil.
func (g *Gitea) Call(ctx context.Context, method, path string, body, out any) error {
	return g.call(ctx, g.Administrator(), method, path, body, out)
}

func (g *Gitea) call(ctx context.Context, u User, method, path string, body, out any) error {
	var payload bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&payload).Encode(body); err != nil {
			return fmt.Errorf("gitea: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, g.url+"/api/v1"+path, &payload)
	if err != nil {
		return fmt.Errorf("gitea: %w", err)
	}
	req.SetBasicAuth(u.Name, u.Password)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("gitea: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("gitea: %s %s: %w", method, path, err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("gitea: %s %s: %s: %s", method, path, resp.Status,
			strings.TrimSpace(string(answer)))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}
