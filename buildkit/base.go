package buildkit

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	gateway "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"git.moleculesai.app/molecule-ai/pinion/internal/errdef"
)

// imageSource begins the identifier of an image in a build graph.
const imageSource = "docker-image://"

// checkBase refuses a result that is based on an image of another platform than the one that is
// built, unless the request allows it; then it is a check. The Dockerfile frontend puts the
// requested platform into the result's config whatever the base is, so the base is looked up in
// the build graph. Images of which files are copied do not count. A builder that gives out no
// graph, and a base that does not name its platform, are not checked.
func (s *solve) checkBase(ctx context.Context, c gateway.Client) error {
	head, ok := baseOf(s.result.Graph)
	if !ok {
		return nil
	}
	have, err := platformOf(ctx, c, head.op)
	if err != nil {
		return err
	}
	want := s.req.Platform
	if have.Architecture == "" || have.OS == want.OS && have.Architecture == want.Architecture {
		return nil
	}
	name := strings.TrimPrefix(head.op.GetSource().GetIdentifier(), imageSource)
	if ref, err := reference.ParseNormalizedNamed(name); err == nil {
		name = familiar(ref)
	}
	rule := &linter.RuleInvalidBaseImagePlatform
	check := Check{Rule: rule.Name, Detail: rule.Description, URL: rule.URL, Text: oneLine(
		rule.Format(name, platforms.FormatAll(want), platforms.FormatAll(have)))}
	check.File, check.Line = placeIn(s.result.Graph, head.digest)
	if s.req.AllowBasePlatform {
		s.statuses.checks.add(check)
		return nil
	}
	return &Error{Op: "build", Kind: ErrRefused, Err: errdef.In(errdef.BasePlatform, "",
		&StepError{File: check.File, Line: check.Line, Err: fmt.Errorf(
			"the base image %s is for %s, not %s", oneLine(name), platforms.FormatAll(have),
			platforms.FormatAll(want))})}
}

// familiar returns a reference as a Dockerfile has it.
func familiar(ref reference.Named) string {
	if tagged, ok := ref.(reference.Tagged); ok {
		return reference.FamiliarName(ref) + ":" + tagged.Tag()
	}
	return reference.FamiliarString(ref)
}

// platformOf returns the platform in the config of an image. The builder has the config already,
// since the frontend asked for it.
func platformOf(
	ctx context.Context, c gateway.Client, op *pb.Op,
) (p ocispecs.Platform, err error) {
	name := strings.TrimPrefix(op.GetSource().GetIdentifier(), imageSource)
	at := op.GetPlatform()
	_, _, config, err := c.ResolveImageConfig(ctx, name, sourceresolver.Opt{
		LogName: "[internal] load metadata for " + name,
		ImageOpt: &sourceresolver.ResolveImageOpt{
			Platform: &ocispecs.Platform{OS: at.GetOS(), Architecture: at.GetArchitecture(),
				Variant: at.GetVariant()},
			ResolveMode: op.GetSource().GetAttrs()[pb.AttrImageResolveMode],
		},
	})
	if err != nil {
		return p, err
	}
	err = json.Unmarshal(config, &p)
	return platforms.Normalize(p), err
}

// graphOp is an operation of a build graph, by its digest.
type graphOp struct {
	digest digest.Digest
	op     *pb.Op
}

// buildGraph has the operations of a definition.
type buildGraph map[digest.Digest]*pb.Op

// baseOf returns the image that the root of the result begins with, if it is one.
func baseOf(def *pb.Definition) (graphOp, bool) {
	g := buildGraph{}
	var last *pb.Op
	for _, dt := range def.GetDef() {
		last = &pb.Op{}
		if last.UnmarshalVT(dt) != nil {
			return graphOp{}, false
		}
		g[digest.FromBytes(dt)] = last
	}
	inputs := last.GetInputs() // the last operation only points to the result
	if len(inputs) != 1 {
		return graphOp{}, false
	}
	return g.base(inputs[0])
}

// base follows the root of an output down to its source. A file operation, a step and a merge each
// say which input their output begins with.
func (g buildGraph) base(in *pb.Input) (graphOp, bool) {
	for in != nil {
		op := g[digest.Digest(in.GetDigest())]
		if source := op.GetSource(); source != nil {
			return graphOp{digest.Digest(in.GetDigest()), op},
				strings.HasPrefix(source.GetIdentifier(), imageSource)
		}
		from := below(op, in.GetIndex())
		if from < 0 || from >= int64(len(op.GetInputs())) {
			break // scratch
		}
		in = op.GetInputs()[from]
	}
	return graphOp{}, false
}

// below returns the index of the input that an output of the operation is made of, -1 for none.
func below(op *pb.Op, output int64) int64 {
	switch {
	case op.GetExec() != nil:
		for _, m := range op.GetExec().GetMounts() {
			if m.GetOutput() == output {
				return m.GetInput()
			}
		}
	case op.GetFile() != nil:
		return belowFile(op, output)
	case len(op.GetMerge().GetInputs()) > 0:
		return op.GetMerge().GetInputs()[0].GetInput()
	}
	return -1
}

// belowFile follows a chain of file actions. An action's input is one of the operation's inputs or,
// counted on from these, another action.
func belowFile(op *pb.Op, output int64) int64 {
	actions, inputs := op.GetFile().GetActions(), int64(len(op.GetInputs()))
	at := int64(slices.IndexFunc(actions, func(a *pb.FileAction) bool {
		return a.GetOutput() == output
	}))
	for range actions {
		if at < 0 || at >= int64(len(actions)) {
			break
		}
		from := actions[at].GetInput()
		if from < inputs {
			return from
		}
		at = from - inputs
	}
	return -1
}

// placeIn returns the place in the Dockerfile that an operation comes from, if the graph has it.
func placeIn(def *pb.Definition, of digest.Digest) (file string, line int) {
	source := def.GetSource()
	for _, l := range source.GetLocations()[of.String()].GetLocations() {
		if i := int(l.GetSourceIndex()); i >= 0 && i < len(source.GetInfos()) &&
			len(l.GetRanges()) > 0 {
			return oneLine(source.GetInfos()[i].GetFilename()),
				int(l.GetRanges()[0].GetStart().GetLine())
		}
	}
	return "", 0
}
