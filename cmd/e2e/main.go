// Command e2e is what runs in the pods of the end-to-end tests, which are this package's
// tests: servers, clients that make known numbers of calls, and a name server. It is one
// static program, so that it is all that its image needs.
//
//	e2e serve          HTTP, and DNS if asked to, until it is told to end
//	e2e call           makes numbered HTTP requests and reports
//	e2e lookup         asks numbered DNS questions and reports
//	e2e source ADDRESS prints the address that this machine speaks to ADDRESS from
//	e2e remove DIR     removes a folder of a node, with all in it
//
// A report is one JSON object on standard output, shop.Report. The exit status is 0 where
// everything was answered, 1 where something was not.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/sshark/sshark/cmd/e2e/shop"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := shop.Run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
}
