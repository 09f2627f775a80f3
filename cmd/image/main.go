// Command image builds sshark for Linux and writes it as a container image of all
// architectures, an OCI archive, without a container engine. What it writes is the same, to
// the byte, for the same source, Go version and SOURCE_DATE_EPOCH. The Dockerfile makes the
// same image with an engine; a test holds the two together.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	name := flag.String("name", "ghcr.io/sshark/sshark", "registry and repository, as a reader of the image will call it")
	version := flag.String("version", "unknown", "the tag, and what `sshark version` says")
	revision := flag.String("revision", "", "commit that it is built from")
	arches := flag.String("arch", "amd64,arm64", "architectures, as Go calls them")
	pkg := flag.String("package", "./cmd/sshark", "the program to build; the tests' workload is another one")
	to := flag.String("o", "", "file to write (needed)")
	flag.Parse()
	if *to == "" || flag.NArg() > 0 {
		return errors.New("want -o FILE and no other arguments; -h lists the flags")
	}
	at, err := sourceDate(os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return err
	}
	im := image{name: *name, version: *version, revision: *revision, path: path.Join(searchPath, path.Base(*pkg)), created: at}
	dir, err := os.MkdirTemp("", "sshark-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, arch := range strings.Split(*arches, ",") {
		text, err := build(ctx, dir, arch, *pkg, *version)
		if err != nil {
			return err
		}
		im.programs = append(im.programs, program{arch, text})
	}
	return writeWhole(*to, &im)
}

// sourceDate is the time that an image says it was made at, 1970 unless it is given
// (https://reproducible-builds.org/specs/source-date-epoch/).
func sourceDate(seconds string) (time.Time, error) {
	if seconds == "" {
		seconds = "0"
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH=%q: want seconds since 1970", seconds)
	}
	return time.Unix(n, 0).UTC(), nil
}

// build compiles a program of the module that the current folder is in.
func build(ctx context.Context, dir, arch, pkg, version string) ([]byte, error) {
	file := filepath.Join(dir, "program-"+arch)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X main.version="+version, "-o", file, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("build for %s: %w\n%s", arch, err, said.Bytes())
	}
	return os.ReadFile(file)
}

// writeWhole writes the archive so that its name is never seen with half of it.
func writeWhole(path string, im *image) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it has another name if all went well
	if err := errors.Join(im.write(f), f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}
