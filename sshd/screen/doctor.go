package screen

import (
	"context"
	"errors"

	"github.com/sshark/sshark/sshd/doctor"
	"github.com/sshark/sshark/tui"
)

// Examiner lets the screen show what the doctor finds.
type Examiner struct{ doctor.Asker }

var _ tui.Examiner = (*Examiner)(nil)

// Examine implements tui.Examiner.
func (e *Examiner) Examine(ctx context.Context) ([]tui.Finding, error) {
	found, _, r, err := e.Ask(ctx)
	out := make([]tui.Finding, len(found))
	for i := range found {
		f := &found[i]
		out[i] = tui.Finding{Severity: tui.Severity(f.Severity), Node: f.Node, Pod: f.Pod, What: f.What, Do: f.Do, Detail: f.Detail}
		if f.Pod != "" && f.Namespace != "" {
			out[i].Pod = f.Namespace + "/" + f.Pod
		}
	}
	if r != nil && err == nil {
		for i := range r.Nodes {
			if miss := r.Nodes[i].Absence(); miss != "" {
				err = errors.Join(err, errors.New(miss))
			}
		}
	}
	return out, err
}
