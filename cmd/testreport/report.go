package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// event is one line of `go test -json` (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of build output
	Test       string
	Elapsed    float64 // seconds
	Output     string
}

// report gathers the events of one run.
type report struct {
	w                       io.Writer
	output                  map[[2]string][]string // package and test ("" is the package itself) → its lines
	skips                   []string
	broken                  map[string]bool // packages with a failed test
	passed, failed, skipped int
}

func newReport(w io.Writer) *report {
	return &report{w: w, output: map[[2]string][]string{}, broken: map[string]bool{}}
}

// read takes events until the end of in. Lines that are no events are passed through.
func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprintf(r.w, "%s", line)
			} else {
				r.event(&e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the output of go test: %w", err)
		}
	}
}

func (r *report) event(e *event) {
	key := [2]string{e.Package, e.Test}
	switch e.Action {
	case "output":
		r.output[key] = append(r.output[key], e.Output)
		return
	case "build-output":
		fmt.Fprint(r.w, e.Output)
		return
	case "pass", "fail", "skip":
	default:
		return
	}
	lines := r.output[key]
	delete(r.output, key)
	if e.Test == "" {
		r.pkg(e, lines)
		return
	}
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.failed++
		r.broken[e.Package] = true
		fmt.Fprint(r.w, strings.Join(lines, ""))
	case "skip":
		r.skipped++
		r.skips = append(r.skips, fmt.Sprintf("%s %s: %s", e.Package, e.Test, reason(lines)))
	}
}

// pkg prints the line of a package that has ended. One that failed without a failed test (it
// did not build, it panicked, a race was found at its end) counts as one failure.
func (r *report) pkg(e *event, lines []string) {
	switch e.Action {
	case "pass":
		fmt.Fprintf(r.w, "ok    %s  %.1fs\n", e.Package, e.Elapsed)
	case "fail":
		if !r.broken[e.Package] {
			r.failed++
		}
		fmt.Fprint(r.w, strings.Join(lines, ""))
		for key, rest := range r.output { // of tests that were cut off
			if key[0] == e.Package {
				fmt.Fprint(r.w, strings.Join(rest, ""))
				delete(r.output, key)
			}
		}
		fmt.Fprintf(r.w, "FAIL  %s  %.1fs\n", e.Package, e.Elapsed)
	}
}

func (r *report) sum() {
	if len(r.skips) > 0 {
		fmt.Fprintln(r.w, "\nSkipped, and why:")
		for _, s := range r.skips {
			fmt.Fprintln(r.w, "  "+s)
		}
	}
	fmt.Fprintf(r.w, "\n%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
}

// position is what t.Skip prints before its text.
var position = regexp.MustCompile(`^\s*[\w.-]+\.go:\d+: `)

// reason is what a test said when it was skipped.
func reason(lines []string) string {
	var said []string
	for _, line := range lines {
		line = strings.TrimRight(line, "\n")
		if trimmed := strings.TrimSpace(line); trimmed == "" || strings.HasPrefix(trimmed, "=== ") || strings.HasPrefix(trimmed, "--- ") {
			continue
		}
		said = append(said, strings.TrimSpace(position.ReplaceAllString(line, "")))
	}
	if len(said) == 0 {
		return "it does not say"
	}
	return strings.Join(said, "; ")
}
