package fleet

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sshark/sshark/worker/query"
)

// Errors of a node.
var (
	ErrUnreachable = errors.New("node did not answer")
	ErrRefused     = errors.New("node refused the question")
)

// ErrNoNode: nobody has that name.
var ErrNoNode = errors.New("there is no node")

// ErrNoWorkers: there is nobody to ask.
var ErrNoWorkers = errors.New("no worker is known: is the DaemonSet running?")

// missing is ErrUnreachable with the reason, in the words of a report.
type missing struct{ why string }

func (m *missing) Error() string        { return ErrUnreachable.Error() + ": " + m.why }
func (m *missing) Is(target error) bool { return target == ErrUnreachable }

// unreachable is an ErrUnreachable with a reason.
func unreachable(format string, args ...any) error { return &missing{fmt.Sprintf(format, args...)} }

// reason is why a node is missing.
func reason(err error) string {
	var m *missing
	if errors.As(err, &m) {
		return m.why
	}
	return err.Error()
}

// ErrNoRoom: there is no memory left to listen to all nodes once more.
var ErrNoRoom = errors.New("the hub has no memory for one more question that follows")

// fromStatus makes a gRPC error one of ours.
func fromStatus(err error) error {
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	switch st.Code() {
	case codes.OK:
		return nil
	case codes.InvalidArgument:
		return fmt.Errorf("%w: %s", ErrRefused, st.Message())
	case codes.PermissionDenied:
		return fmt.Errorf("%w: %s", query.ErrRefused, strings.TrimPrefix(st.Message(), query.ErrRefused.Error()+": "))
	case codes.NotFound:
		return fmt.Errorf("%w: %s", query.ErrNoSuchFlow, st.Message())
	case codes.Canceled: // nobody here did that
		return unreachable("it is ending (%s)", st.Message())
	}
	return unreachable("%s", plain(st.Message()))
}

// plain takes from the text of a connection error what gRPC says around the cause.
func plain(text string) string {
	if _, desc, ok := strings.Cut(text, "desc = \""); ok {
		if quoted, err := strconv.QuotedPrefix("\"" + desc); err == nil {
			if s, err := strconv.Unquote(quoted); err == nil {
				text = s
			}
		}
	}
	for _, prefix := range []string{"transport: ", "Error while dialing: ", "authentication handshake failed: ", "error reading from server: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	for _, broken := range []string{"connection reset by peer", "broken pipe", "use of closed network connection"} {
		if strings.HasSuffix(text, broken) {
			return "the connection broke"
		}
	}
	if text == context.DeadlineExceeded.Error() || text == "EOF" || text == "" {
		return "the connection broke"
	}
	return text
}
