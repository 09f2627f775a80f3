package command

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/sshark/sshark/sshd/sourcetest"
	"github.com/sshark/sshark/worker/query"
)

// locked is a source that can be given secrets.
type locked struct {
	*sourcetest.Source
	logs []string
}

func (l *locked) KeyLog(path string) error {
	if path == "bad" {
		return errors.New("bad holds none")
	}
	l.logs = append(l.logs, path)
	return nil
}

func TestKeyLog(t *testing.T) {
	source := &locked{Source: &sourcetest.Source{Kept: 8}}
	e := newEnv(source.Source)
	file := func(s query.Source) {
		e.Source = nil
		e.Open = func(context.Context, []string) (query.Source, io.Closer, error) { return s, nil, nil }
	}
	file(source)
	if r := runLine(t, e, "calls --pcap x --keylog a --keylog b -o json"); r.status != 0 || strings.Join(source.logs, " ") != "a b" {
		t.Errorf("%+v, %q", r, source.logs)
	}
	file(source)
	if r := runLine(t, e, "calls --pcap x --keylog bad"); r.status != 1 || !strings.Contains(r.stderr, "holds none") {
		t.Errorf("%+v", r)
	}
	file(source.Source)
	if r := runLine(t, e, "calls --pcap x --keylog a"); r.status != 2 || !strings.Contains(r.stderr, "--keylog a") {
		t.Errorf("%+v", r)
	}
	e.Open, e.Source = nil, source
	if r := runLine(t, e, "calls --keylog a"); r.status != 2 || !strings.Contains(r.stderr, "keylog") {
		t.Errorf("%+v", r)
	}
}
