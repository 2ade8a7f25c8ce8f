package parts

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// lfsType is the media type of the LFS batch API.
const lfsType = "application/vnd.git-lfs+json"

// LFSAttributes says that the files of a pattern are in Git LFS.
func LFSAttributes(pattern string) string {
	return pattern + " filter=lfs diff=lfs merge=lfs -text\n"
}

// LFSPointer is the pointer of Git LFS to a content.
func LFSPointer(path string, content []byte) File {
	return Text(path, fmt.Sprintf(
		"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n",
		lfsOID(content), len(content)))
}

func lfsOID(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// UploadLFS puts an object into a repository's LFS, as git-lfs does before a push.
func (g *Gitea) UploadLFS(ctx context.Context, r Repo, content []byte) error {
	body, err := json.Marshal(map[string]any{"operation": "upload", "transfers": []string{"basic"},
		"objects": []map[string]any{{"oid": lfsOID(content), "size": len(content)}}})
	if err != nil {
		return fmt.Errorf("gitea: %w", err)
	}
	var answer struct {
		Objects []struct {
			Actions map[string]struct {
				Href   string
				Header map[string]string
			}
		}
	}
	text, err := g.lfs(ctx, http.MethodPost, g.RepoURL(r)+".git/info/lfs/objects/batch", body,
		map[string]string{"Content-Type": lfsType})
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	if err != nil || len(answer.Objects) != 1 {
		return fmt.Errorf("gitea: LFS of %s: %w: %s", r, err, text)
	}
	put, ok := answer.Objects[0].Actions["upload"]
	if !ok {
		return nil // it is there
	}
	put.Header["Content-Type"] = "application/octet-stream"
	_, err = g.lfs(ctx, http.MethodPut, put.Href, content, put.Header)
	return err
}

func (g *Gitea) lfs(
	ctx context.Context, method, url string, body []byte, header map[string]string,
) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("gitea: %w", err)
	}
	req.SetBasicAuth(Admin, adminPassword)
	req.Header.Set("Accept", lfsType)
	for key, value := range header {
		req.Header.Set(key, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("gitea: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("gitea: %s %s: %s: %s", method, url, resp.Status, text)
	}
	return text, err
}
