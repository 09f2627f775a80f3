package command

import (
	"context"
	"io"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/worker/query"
)

// oneCall answers with the same call again and again, so that only the printing is measured.
type oneCall struct {
	*sourcetest.Source
	n int
}

func (o oneCall) Calls(_ context.Context, _ *query.Request, each func(*dissect.Call) error) (*query.Report, error) {
	c := o.Source.Call(1)
	for range o.n {
		if err := each(c); err != nil {
			return nil, err
		}
	}
	return &query.Report{}, nil
}

func BenchmarkCalls(b *testing.B) {
	for _, format := range listFormats {
		b.Run(format, func(b *testing.B) {
			e := newEnv(&sourcetest.Source{})
			e.Source, e.Stdout, e.Stderr = oneCall{&sourcetest.Source{}, b.N}, io.Discard, io.Discard
			b.ReportAllocs()
			b.ResetTimer()
			if s := Run(context.Background(), e, []string{"calls", "--all", "-o", format}); s != 0 {
				b.Fatal(s)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
