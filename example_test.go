package pinion_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"git.moleculesai.app/molecule-ai/pinion"
)

// A workspace server asks for the image before it creates the container. With
// MOLECULE_IMAGE_REGISTRY set, as in production, that is the registry's image, and nothing is
// contacted.
func ExampleOrchestrator_EnsureLocalImage() {
	production := map[string]string{"MOLECULE_IMAGE_REGISTRY": "registry.example.com/molecule"}
	o, err := pinion.New(pinion.OptionsFromEnv(func(name string) (string, bool) {
		v, ok := production[name]
		return v, ok
	}))
	if err != nil {
		log.Fatal(err)
	}
	ref, err := o.EnsureLocalImage(context.Background(), "claude-code")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ref)
	// Output: registry.example.com/molecule/workspace-template-claude-code:latest
}

// On a contributor's machine nothing is set, and the image is built from the template's current
// commit. Containers are created from the ID, since every user can move a tag.
func ExampleOrchestrator_Ensure() {
	o, err := pinion.New(pinion.OptionsFromEnv(os.LookupEnv))
	if err != nil {
		log.Fatal(err)
	}
	img, err := o.Ensure(context.Background(), "claude-code")
	var step *pinion.StepError
	switch {
	case errors.As(err, &step):
		log.Fatalf("the template is broken at %s:%d", step.File, step.Line)
	case errors.Is(err, pinion.ErrUnauthorized):
		log.Fatal("set MOLECULE_GITEA_TOKEN")
	case err != nil:
		log.Fatal(err)
	}
	fmt.Println(img.Outcome, img.Reference, img.ID)
}
