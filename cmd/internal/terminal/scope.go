package terminal

import (
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
)

// scoped returns a copy of the message with name before each step. Digests get the name too: builds
// from the same base image share steps, and the display, which identifies steps by digest, would
// show them once under changing names.
func scoped(name string, s *client.SolveStatus) *client.SolveStatus {
	own := func(d digest.Digest) digest.Digest { return digest.Digest(name + "/" + d.String()) }
	out := &client.SolveStatus{}
	for _, v := range s.Vertexes {
		c := *v
		c.Name, c.Digest = "["+name+"] "+v.Name, own(v.Digest)
		c.Inputs = make([]digest.Digest, len(v.Inputs))
		for i, in := range v.Inputs {
			c.Inputs[i] = own(in)
		}
		c.ProgressGroup = scopedGroup(name, v.ProgressGroup)
		out.Vertexes = append(out.Vertexes, &c)
	}
	for _, v := range s.Statuses {
		c := *v
		c.Vertex = own(v.Vertex)
		out.Statuses = append(out.Statuses, &c)
	}
	for _, l := range s.Logs {
		c := *l
		c.Vertex = own(l.Vertex)
		out.Logs = append(out.Logs, &c)
	}
	for _, w := range s.Warnings {
		c := *w
		c.Vertex = own(w.Vertex)
		out.Warnings = append(out.Warnings, &c)
	}
	return out
}

func scopedGroup(name string, g *pb.ProgressGroup) *pb.ProgressGroup {
	if g == nil {
		return nil
	}
	return &pb.ProgressGroup{Id: name + "/" + g.Id, Name: "[" + name + "] " + g.Name, Weak: g.Weak}
}
