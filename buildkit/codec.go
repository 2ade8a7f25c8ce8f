package buildkit

// BuildKit's codec for gRPC takes the place of gRPC's own, as in buildkitd and buildctl, for the
// whole process. gRPC's own refuses a message with a file name that is not UTF-8, which git and
// Linux allow.
import _ "github.com/moby/buildkit/util/grpcutil/encoding/proto"
