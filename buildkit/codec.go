package buildkit

import (
	// BuildKit's codec for gRPC takes the place of gRPC's own for the whole process, as in
	// buildkitd and buildctl. gRPC's own refuses a message with a file name that is not UTF-8,
	// which git and Linux allow.
	_ "github.com/moby/buildkit/util/grpcutil/encoding/proto"
)
