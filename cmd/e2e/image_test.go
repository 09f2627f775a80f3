package main_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// imageTag is that of all images here.
const imageTag = "e2e"

// image builds a program of the module as an image, for this machine's architecture, as `make
// image` does, and puts it on every node.
func (c *cluster) image(t *testing.T, dir, name, program string) {
	t.Helper()
	archive := filepath.Join(dir, program+".tar")
	must(t, 10*time.Minute, "sh", "-c", "cd ../.. && go run ./cmd/image -arch \"$(go env GOARCH)\" "+
		words([]string{"-name", name, "-version", imageTag, "-package", "./cmd/" + program, "-o", archive}))
	must(t, 3*time.Minute, append(slices.Clone(c.load), archive)...)
}
