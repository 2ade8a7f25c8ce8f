package pinion

import (
	"errors"
	"fmt"
	"testing"

	"git.moleculesai.app/molecule-ai/pinion/buildkit"
	"git.moleculesai.app/molecule-ai/pinion/internal/imagestore"
	"git.moleculesai.app/molecule-ai/pinion/resolver"
)

// Git servers, registries and stores share the kinds of their failures. Class and origin must not
// mix them up.
func TestClassAndOriginOfSharedKinds(t *testing.T) {
	at := func(origin imagestore.Origin, kind error) error {
		return &imagestore.Error{Op: "pull", Origin: origin, Err: kind}
	}
	git := func(kind error) error { return &resolver.Error{Op: "look up", Err: kind} }
	other := errors.New("something else")
	for _, c := range []struct {
		name   string
		err    error
		class  Class
		origin Origin
	}{
		{"engine lacks the image", imagestore.StoreFailure(at(imagestore.OriginDocker,
			imagestore.ErrNotFound)), ClassStore, OriginDocker},
		{"engine gone", imagestore.StoreFailure(at(imagestore.OriginDocker,
			imagestore.ErrUnavailable)), ClassStore, OriginDocker},
		{"engine gone during a pull", imagestore.Failure(at(imagestore.OriginDocker,
			imagestore.ErrUnavailable)), ClassStore, OriginDocker},
		{"layout locked", imagestore.StoreFailure(at(imagestore.OriginLayout,
			imagestore.ErrUnavailable)), ClassStore, OriginLayout},
		{"registry lacks the image", imagestore.Failure(at(imagestore.OriginRegistry,
			imagestore.ErrNotFound)), ClassNotFound, OriginRegistry},
		{"registry refuses", imagestore.Failure(at(imagestore.OriginRegistry,
			imagestore.ErrUnauthorized)), ClassUnauthorized, OriginRegistry},
		{"registry gone", imagestore.Failure(at(imagestore.OriginRegistry,
			imagestore.ErrUnavailable)), ClassUnreachable, OriginRegistry},
		{"registry fails", imagestore.Failure(at(imagestore.OriginRegistry, other)),
			ClassUnreachable, OriginRegistry},
		{"repository missing", git(ErrNotFound), ClassNotFound, OriginGit},
		{"git server refuses", git(ErrUnauthorized), ClassUnauthorized, OriginGit},
		{"git server gone", git(ErrUnavailable), ClassUnreachable, OriginGit},
		{"LFS server refuses", &buildkit.Error{Op: "fetch LFS", Kind: ErrLFS,
			Err: git(ErrUnauthorized)}, ClassUnauthorized, OriginGit},
		{"LFS server gone", &buildkit.Error{Op: "fetch LFS", Kind: ErrLFS,
			Err: git(ErrUnavailable)}, ClassUnreachable, OriginGit},
		{"no LFS server", &buildkit.Error{Op: "fetch LFS", Kind: ErrLFS,
			Err: git(ErrNotFound)}, ClassNotFound, OriginGit},
		{"wrong object", &buildkit.Error{Op: "fetch LFS", Kind: ErrLFS, Err: other},
			ClassUnreachable, OriginBuildKit},
		{"engine of the builder gone", &buildkit.Error{Op: "choose", Kind: ErrNoBuilder,
			Err: at(imagestore.OriginDocker, imagestore.ErrUnavailable)}, ClassNoBuilder,
			OriginBuildKit},
		{"delivery to an engine that is gone", &buildkit.Error{Op: "deliver", Kind: ErrDelivery,
			Err: at(imagestore.OriginDocker, imagestore.ErrUnavailable)}, ClassStore,
			OriginBuildKit},
		{"another image in the store", fmt.Errorf("%w: %w", ErrVerification,
			at(imagestore.OriginDocker, imagestore.ErrNotFound)), ClassVerification,
			OriginDocker},
	} {
		if class, origin := ClassOf(c.err), originOf(c.err); class != c.class ||
			origin != c.origin {
			t.Errorf("%s: %s, %s, want %s, %s", c.name, class, origin, c.class, c.origin)
		}
	}
}
