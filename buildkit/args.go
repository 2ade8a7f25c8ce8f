package buildkit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path"
	"strings"

	"github.com/moby/buildkit/client"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/identity"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"

	"git.moleculesai.app/molecule-ai/pinion/internal/redact"
	"git.moleculesai.app/molecule-ai/pinion/resolver/arg"
)

// redactor returns what removes the secrets of a request and the passwords of the proxies.
func (b *Builder) redactor(req Request) *redact.Redactor {
	_, encoded, _ := strings.Cut(req.AuthHeader, " ")
	secrets := append([]string{req.Token, encoded}, req.Hidden...)
	for _, proxy := range b.proxies {
		if u, err := url.Parse(proxy); err == nil && u.User != nil {
			password, _ := u.User.Password()
			secrets = append(secrets, password)
		}
	}
	return redact.New(secrets...)
}

// ReadArgs returns the values of the request's build arguments, without a build: it fetches the
// commit if a rule names a file. Only Remote, Revision, the credential and Args of the request are
// used. The error is an [*Error], or the context's cause.
func (b *Builder) ReadArgs(ctx context.Context, req Request) ([]arg.Value, error) {
	if !arg.ReadsFiles(req.Args) {
		values, _, err := readArgs(ctx, nil, req.Args)
		return values, err
	}
	values, err := b.fetchArgs(ctx, req, false)
	if _, refused := errors.AsType[*refusedCommit](err); refused && ctx.Err() == nil {
		values, err = b.fetchArgs(ctx, req, true)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, b.redactor(req).Error(fetchError("fetch", harmless(err)))
	}
	return values, nil
}

// fetchArgs runs a Build session that reads the files and exports nothing.
func (b *Builder) fetchArgs(
	ctx context.Context, req Request, refs bool,
) (values []arg.Value, err error) {
	g := newGate(req)
	opt := client.SolveOpt{FrontendAttrs: map[string]string{}, Ref: identity.NewID(),
		Session: []session.Attachable{secretsprovider.NewSecretProvider(g)}}
	// The builder returns only the text of an error of this function.
	var failed error
	read := func(ctx context.Context, c gateway.Client) (*gateway.Result, error) {
		var co *checkout
		if co, failed = fetch(ctx, c, req, refs, g); failed != nil {
			return nil, failed
		}
		if values, _, failed = readArgs(ctx, co.tree, req.Args); failed != nil {
			return nil, failed
		}
		return gateway.NewResult(), nil
	}
	_, err = b.client.Build(ctx, opt, "pinion", read, nil)
	return values, cmp.Or(failed, err)
}

// readArgs returns the values of the build arguments. A file without a value that fits is refused
// if the rule requires one; otherwise the argument is left out, with a warning unless there is no
// such file.
func readArgs(
	ctx context.Context, f files, rules []arg.Rule,
) (values []arg.Value, warnings []string, err error) {
	for _, r := range rules {
		if r.File == "" {
			values = append(values, arg.Value{Name: r.Name, Value: r.Value})
			continue
		}
		value, wrong, err := readArg(ctx, f, r)
		switch {
		case err != nil:
			return nil, nil, err
		case wrong == "":
			values = append(values, arg.Value{Name: r.Name, Value: value, File: r.File})
		case r.Required:
			return nil, nil, refuse("build argument %s: %s", r.Name, wrong)
		case wrong != noFile(r):
			warnings = append(warnings, fmt.Sprintf("the build argument %s is not set: %s",
				r.Name, wrong))
		}
	}
	return values, warnings, nil
}

// noFile is what is wrong if the file of a rule is missing.
func noFile(r arg.Rule) string { return "the repository has no " + r.File }

// readArg reads the file of a rule. wrong says why it gives no value. The error is that of a tree
// that cannot be read.
func readArg(ctx context.Context, f files, r arg.Rule) (value, wrong string, err error) {
	mode, err := modeOf(ctx, f, r.File)
	switch {
	case err != nil:
		return "", "", err
	case mode == nil:
		return "", noFile(r), nil
	case !mode.IsRegular() && *mode&os.ModeSymlink == 0:
		return "", r.File + " is no file", nil
	}
	content, err := f.ReadFile(ctx, gateway.ReadRequest{Filename: r.File,
		Range: &gateway.FileRange{Length: arg.MaxFile}})
	if err != nil {
		if *mode&os.ModeSymlink != 0 && ctx.Err() == nil {
			return "", r.File + " is a link that leads to no file", nil
		}
		return "", "", err
	}
	value, err = r.Read(content)
	if err != nil {
		return "", fmt.Sprintf("%s: %v", r.File, err), nil
	}
	return value, "", nil
}

// modeOf returns the mode of a file, nil if there is none. Links on the way to it count as missing.
func modeOf(ctx context.Context, f files, name string) (*os.FileMode, error) {
	at := "."
	elements := strings.Split(name, "/")
	for i, element := range elements {
		at = path.Join(at, element)
		st, err := find(ctx, f, at)
		if err != nil || st == nil {
			return nil, err
		}
		mode := os.FileMode(st.Mode)
		if i == len(elements)-1 {
			return &mode, nil
		}
		if !mode.IsDir() {
			return nil, nil
		}
	}
	return nil, nil
}

func argValues(values []arg.Value) map[string]string {
	if len(values) == 0 {
		return nil
	}
	byName := map[string]string{}
	for _, v := range values {
		byName[v.Name] = v.Value
	}
	return byName
}
