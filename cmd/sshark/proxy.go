package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"
)

// dialTime bounds how long the proxy waits for the console to take the connection.
const dialTime = 10 * time.Second

// proxyCommand carries one SSH connection over standard input and output.
func proxyCommand() *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "proxy",
		Short: "carry ssh over standard input and output, for ProxyCommand",
		Long: "Carries one SSH connection between standard input and output and the console's port,\n" +
			"so that ssh, scp and sftp work with no port opened. In ~/.ssh/config:\n\n" +
			"  Host console\n" +
			"    ProxyCommand kubectl exec -i -n sshark deploy/sshark-hub -- sshark proxy",
		Args: flagsOnly,
		RunE: func(c *cobra.Command, _ []string) error {
			in := c.InOrStdin()
			if f, ok := in.(*os.File); ok && term.IsTerminal(f.Fd()) {
				return usageError{errors.New("proxy speaks SSH, not to a person: give it to ssh as -o ProxyCommand='kubectl exec -i -n sshark deploy/sshark-hub -- sshark proxy' (-i, without -t)")}
			}
			if _, _, err := net.SplitHostPort(to); err != nil {
				return usageError{fmt.Errorf("--to %q: want HOST:PORT, such as 127.0.0.1:2222", to)}
			}
			return proxy(c.Context(), to, in, c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&to, "to", "127.0.0.1:2222", "`ADDRESS` of the console")
	return c
}

// proxy copies until either side ends. Where standard input ends first, what the console still
// has to say is copied.
func proxy(ctx context.Context, to string, in io.Reader, out io.Writer) error {
	dialer := net.Dialer{Timeout: dialTime}
	conn, err := dialer.DialContext(ctx, "tcp", to)
	if err != nil {
		return fmt.Errorf("reach the console: %w; run it where the hub is (kubectl exec -i -n sshark deploy/sshark-hub -- sshark proxy), or say where with --to HOST:PORT", err)
	}
	defer conn.Close() // ends the copy from it, if that goes on
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	broken := make(chan error, 1)
	go func() { // ends with the process at the latest: nothing else ends a read of standard input
		_, err := io.Copy(conn, in)
		if err == nil {
			err = conn.(*net.TCPConn).CloseWrite()
		}
		if err != nil {
			broken <- err
		}
	}()
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(out, conn)
		ended <- err
	}()
	select {
	case err = <-ended:
	case err = <-broken:
		// The console may have gone in the middle of what we sent: its last word still counts.
		_ = conn.SetReadDeadline(time.Now().Add(time.Second)) // closed: the copy has ended
		<-ended
	}
	if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("carry the connection to %s: %w", to, err)
	}
	return nil
}
