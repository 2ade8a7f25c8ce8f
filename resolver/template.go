package resolver

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
	"git.moleculesai.app/molecule-ai/pinion/resolver/git"
)

const (
	imagePrefix    = "workspace-template-"
	nativePlatform = "native"

	maxNameLen   = 64
	maxImageLen  = 128
	maxTargetLen = 128
)

// DefaultDockerfile is the Dockerfile of a template that names none.
const DefaultDockerfile = "Dockerfile"

// Template is one entry of the catalogue: where a template comes from and what
// its image is called. Every field has been checked.
type Template struct {
	Name       string     // unique in the catalogue
	Remote     git.Remote // the repository
	Ref        git.Ref    // the branch or tag, or HEAD
	Subdir     string     // the build context below the root, "" for the root
	Dockerfile string     // path below Subdir, or after "/" below the root; "Dockerfile" by default
	Target     string     // the Dockerfile's stage, "" for its last
	Platform   string     // os/arch[/variant] or "native"; "" leaves it to the caller
	Image      string     // unique in the catalogue; "workspace-template-"+Name by default
	// Submodules are the hosts, or host/path, whose repositories may be submodules; with none,
	// submodules are left out.
	Submodules []string
	// LFS fetches files in Git LFS, and LFSHosts are hosts besides the repository's that their
	// content may be downloaded from.
	LFS      bool
	LFSHosts []string
	// KeepGitDir leaves the repository's .git in the build context.
	KeepGitDir bool
	// AllowBasePlatform allows a base image of another platform than the one that is built.
	AllowBasePlatform bool
	// Timeout bounds a build; 0 leaves it to the caller.
	Timeout time.Duration
	// Args are the rules for build arguments, sorted by name.
	Args []arg.Rule
	// Revision is the only commit that is built, zero for the one that Ref names. Ref is then asked
	// only whether the repository may be read.
	Revision git.Revision
	// PullRequests says which pull requests are built; nil for none.
	PullRequests *PullRequests
	// Given is the image, by its ID or by a reference with a digest, of a template that nothing is
	// built for; "" for the others. Such a template has no Remote.
	Given string
}

// IsPinned reports whether the template is built from one commit or tag, so that no branch is
// followed.
func (t Template) IsPinned() bool { return !t.Revision.IsZero() || t.Ref.Tag() != "" }

// RefName returns the full name of the branch or tag, or HEAD. It is "" for a template with a
// Revision or with a given image, which follow none.
func (t Template) RefName() string {
	if !t.Revision.IsZero() || t.Given != "" {
		return ""
	}
	return t.Ref.String()
}

// RefAt is RefName with the branch in place of HEAD, as far as the server's answer has it.
func (t Template) RefAt(head Head) string {
	if !t.Revision.IsZero() {
		return ""
	}
	return head.Ref.String()
}

// describe returns the template in one line, with what differs from the defaults.
func (t Template) describe() string {
	text := fmt.Sprintf("image %s of %s, %s", t.Image, t.Remote,
		cmp.Or(t.RefName(), t.Revision.String()))
	if t.Given != "" {
		text = "the given image " + t.Given
	}
	for _, part := range []struct{ what, value, usual string }{
		{"subdir", t.Subdir, ""}, {"dockerfile", t.Dockerfile, DefaultDockerfile},
		{"target", t.Target, ""}, {"platform", t.Platform, ""},
	} {
		if part.value != part.usual {
			text += ", " + part.what + " " + part.value
		}
	}
	if len(t.Submodules) > 0 {
		text += ", submodules of " + strings.Join(t.Submodules, " ")
	}
	if t.LFS {
		text += ", Git LFS"
	}
	if len(t.LFSHosts) > 0 {
		text += " with objects at " + strings.Join(t.LFSHosts, " ")
	}
	if t.KeepGitDir {
		text += ", .git kept"
	}
	if t.AllowBasePlatform {
		text += ", base image of any platform"
	}
	if t.Timeout != 0 {
		text += ", timeout " + t.Timeout.String()
	}
	if t.PullRequests != nil {
		text += ", " + t.PullRequests.describe()
	}
	for i, r := range t.Args {
		if i == 0 {
			text += ", args"
		}
		if r.File != "" {
			text += fmt.Sprintf(" %s from %s", r.Name, r.File)
		} else {
			text += fmt.Sprintf(" %s=%s", r.Name, quote(r.Value))
		}
	}
	return text
}

// StandardArgs returns the rules that a built-in template has by default, and none for a name that
// is not built in.
func StandardArgs(name string) []arg.Rule {
	if !IsKnownRuntime(name) {
		return nil
	}
	return []arg.Rule{arg.RuntimeVersion()}
}

// checkTemplate fills in the defaults and checks every field's grammar.
func checkTemplate(t Template) (Template, error) {
	if err := checkName(t.Name); err != nil {
		return Template{}, err
	}
	if t.Given == "" && t.Remote.IsZero() {
		return Template{}, errNoRemote
	}
	if t.Given != "" {
		if err := checkGiven(t.Given); err != nil {
			return Template{}, inKey(err, "image")
		}
	}
	if t.Image == "" {
		t.Image = imagePrefix + t.Name
	}
	if t.Dockerfile == "" {
		t.Dockerfile = DefaultDockerfile
	}
	var err error
	if t.Subdir, err = git.ParseSubdir(t.Subdir); err != nil {
		return Template{}, inKey(err, "subdir")
	}
	if t.Dockerfile, err = parseDockerfile(t.Subdir, t.Dockerfile); err != nil {
		key := "dockerfile"
		if strings.HasPrefix(t.Dockerfile, "/") {
			key = "root_dockerfile"
		}
		return Template{}, inKey(err, key)
	}
	if t.Args, err = checkArgs(t.Args); err != nil {
		return Template{}, inKey(err, "args")
	}
	return t, cmp.Or(inKey(checkImage(t.Image), "image"),
		inKey(checkPlatform(t.Platform), "platform"), inKey(checkTarget(t.Target), "target"),
		inKey(checkTimeout(t.Timeout), "timeout"),
		inKey(checkSubmodules(t.Submodules), "submodules"), inKey(t.checkLFSHosts(), "lfs_hosts"),
		inKey(t.checkPullRequests(), keyPullRequests))
}

// checkArgs checks each rule and sorts them by name.
func checkArgs(rules []arg.Rule) ([]arg.Rule, error) {
	var checked []arg.Rule
	for _, r := range rules {
		r, err := r.Check()
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(checked, func(o arg.Rule) bool { return o.Name == r.Name }) {
			return nil, fmt.Errorf("%w: build argument %s is there twice",
				ErrInvalidInput, quote(r.Name))
		}
		checked = append(checked, r)
	}
	slices.SortFunc(checked, func(a, b arg.Rule) int { return strings.Compare(a.Name, b.Name) })
	return checked, nil
}

// parseDockerfile checks the Dockerfile's path by the rules for a subdirectory. With an error it
// returns the path as it is.
func parseDockerfile(subdir, path string) (string, error) {
	below, fromRoot := strings.CutPrefix(path, "/")
	cleaned, err := git.ParseSubdir(below)
	switch {
	case err == nil && cleaned != "" && !strings.HasSuffix(path, "/"):
	case fromRoot:
		return path, fmt.Errorf("%w: Dockerfile %s: give a plain path below the repository's root",
			ErrInvalidInput, quote(below))
	default:
		return path, fmt.Errorf("%w: Dockerfile %s: give a plain relative path below the "+
			"subdirectory; root_dockerfile is the key for one outside of it", ErrInvalidInput,
			quote(path))
	}
	if fromRoot && subdir != "" {
		cleaned = "/" + cleaned
	}
	return cleaned, nil
}

// IsName reports whether s is [a-z0-9]+([._-][a-z0-9]+)*, which is safe as a part of a URL, of an
// image reference and of a file name.
func IsName(s string) bool {
	separated := true // a name can't start with a separator
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			separated = false
		case (c == '.' || c == '_' || c == '-') && !separated:
			separated = true
		default:
			return false
		}
	}
	return !separated
}

func checkName(name string) error {
	if len(name) > maxNameLen || !IsName(name) {
		return fmt.Errorf("%w: template name %s: use up to %d of a-z and 0-9, separated by "+
			"single dots, dashes or underscores",
			ErrInvalidInput, quote(name), maxNameLen)
	}
	return nil
}

func checkImage(image string) error {
	ok := len(image) <= maxImageLen
	for part := range strings.SplitSeq(image, "/") {
		ok = ok && IsName(part)
	}
	if !ok {
		return fmt.Errorf("%w: image name %s: use up to %d of a-z and 0-9, separated by single "+
			"dots, dashes, underscores or slashes",
			ErrInvalidInput, quote(image), maxImageLen)
	}
	return nil
}

func checkPlatform(platform string) error {
	if platform == "" || platform == nativePlatform {
		return nil
	}
	parts := strings.Split(platform, "/")
	ok := len(parts) == 2 || len(parts) == 3
	for _, part := range parts {
		ok = ok && len(part) <= maxNameLen && IsName(part)
	}
	if !ok {
		return fmt.Errorf(`%w: platform %s: give os/arch, os/arch/variant or "native"`,
			ErrInvalidInput, quote(platform))
	}
	return nil
}

// checkTarget accepts what Dockerfiles allow for a stage: a name or an index.
func checkTarget(target string) error {
	bad := strings.ContainsFunc(target, func(r rune) bool {
		alnum := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !alnum && r != '-' && r != '_' && r != '.'
	})
	if bad || len(target) > maxTargetLen || strings.HasPrefix(target, "-") ||
		strings.HasPrefix(target, ".") {
		return fmt.Errorf("%w: target %s: give the name of a Dockerfile stage",
			ErrInvalidInput, quote(target))
	}
	return nil
}

// checkSubmodules accepts hosts with or without a path.
func checkSubmodules(list []string) error {
	for _, entry := range list {
		_, err := git.ParseRemote("https://" + strings.TrimSuffix(entry, "/") + "/x")
		if err != nil {
			return fmt.Errorf("%w: submodules: %s is neither a host nor host/path, as in "+
				"git.example.com/team", ErrInvalidInput, quote(entry))
		}
	}
	return nil
}

// checkLFSHosts accepts hosts that lfs makes use of.
func (t Template) checkLFSHosts() error {
	if len(t.LFSHosts) > 0 && !t.LFS {
		return fmt.Errorf("%w: lfs_hosts has no effect without lfs: true", ErrInvalidInput)
	}
	for _, host := range t.LFSHosts {
		if _, err := git.ParseRemote("https://" + host + "/x"); err != nil ||
			strings.Contains(host, "/") {
			return fmt.Errorf("%w: lfs_hosts: %s is no host, as in objects.example.com or "+
				"objects.example.com:8443", ErrInvalidInput, quote(host))
		}
	}
	return nil
}

func checkTimeout(d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("%w: timeout %s: give a duration above 0, for example 20m",
			ErrInvalidInput, d)
	}
	return nil
}

// quote returns an input in a short form that is harmless to print.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "..."
	}
	return fmt.Sprintf("%q", s)
}
