// Command testreport runs `go test` with its arguments and says in few lines what came of
// it: one line a package, all that failed tests printed, each skipped test with its reason,
// and in the end, on a line of its own, "N passed, N failed, N skipped". Subtests count. Its
// exit status is that of go test.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

func main() {
	status, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		status = 1
	}
	os.Exit(status)
}

func run(args []string) (status int, err error) {
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	r := newReport(os.Stdout)
	readErr := r.read(out)
	waitErr := cmd.Wait()
	r.sum()
	var exit *exec.ExitError
	switch {
	case readErr != nil:
		return 0, readErr
	case errors.As(waitErr, &exit):
		return exit.ExitCode(), nil
	case waitErr != nil:
		return 0, waitErr
	case r.failed > 0:
		return 1, nil
	}
	return 0, nil
}
