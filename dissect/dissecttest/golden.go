// Package dissecttest runs protocols over recorded captures, through the engine, and compares
// what they tell with golden files. For tests only.
package dissecttest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/keylog"
	"github.com/sshark/sshark/pcap"
	"github.com/sshark/sshark/pcap/flow"
	"github.com/sshark/sshark/pcap/pcapng"
)

// bodyLimit is how much of each body the calls keep, bodyShown how much of it a line has.
const (
	bodyLimit = 64 << 10
	bodyShown = 60
)

// Golden compares the calls of each capture that the pattern matches with the file of the
// same name that ends in .golden, one JSON line a call; with update it writes the file.
// A line has what does not depend on the clock: who spoke, marks, summary, status, whether
// times are known, the protocol's fields, and the beginning of the bodies.
func Golden(t *testing.T, update bool, pattern string, protocols ...*dissect.Protocol) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures match %s: %v", pattern, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), func(t *testing.T) {
			got, err := Calls(file, protocols...)
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, filepath.Ext(file)) + ".golden"
			if update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			diff(t, got, want)
		})
	}
}

// diff reports the lines that differ.
func diff(t *testing.T, got, want []byte) {
	t.Helper()
	g, w := bytes.SplitAfter(got, []byte("\n")), bytes.SplitAfter(want, []byte("\n"))
	for i := range max(len(g), len(w)) {
		var a, b []byte
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if !bytes.Equal(a, b) {
			t.Errorf("line %d:\ngot  %swant %s", i+1, a, b)
		}
	}
}

// Calls dissects a capture and returns its calls, a line each, in the order in which they were
// handed out.
func Calls(file string, protocols ...*dissect.Protocol) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	keys := keylog.New()
	in, err := pcapng.NewReader(f, pcapng.ReaderOptions{OnSecrets: func(_ uint32, text []byte) { keys.Add(text) }})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	w := &writer{}
	e := dissect.NewEngine(dissect.Options{Protocols: protocols, Workers: 1, Bodies: bodyLimit, Secrets: keys,
		Handler: func(int) dissect.Handler { return w }})
	var p pcap.Packet
	for {
		if err = in.Next(&p); err != nil {
			break
		}
		e.Packet(&p, 0, flow.UnknownOpener)
	}
	e.Close()
	if n := e.Faults(); n > 0 {
		return nil, fmt.Errorf("dissect %s: %d flows met a fault", file, n)
	}
	if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return w.out, nil
}

// writer writes calls.
type writer struct{ out []byte }

func (w *writer) FlowEnd(*dissect.Flow) {}
func (w *writer) Batch()                {}

func (w *writer) Call(c *dissect.Call) {
	b := fmt.Appendf(w.out, `{"src":%d,"dst":%d`, c.Src().Addr.Port(), c.Dst().Addr.Port())
	for _, mark := range []struct {
		name string
		set  bool
	}{{"tls", c.Decrypted}, {"reverse", c.Reverse}, {"incomplete", c.Incomplete}, {"error", c.Error}} {
		if mark.set {
			b = append(dissect.AppendKey(b, mark.name), "true"...)
		}
	}
	b = dissect.AppendBytes(dissect.AppendKey(b, "summary"), c.Message.AppendSummary(nil))
	b = dissect.AppendBytes(dissect.AppendKey(b, "status"), c.Message.AppendStatus(nil))
	_, elapsed := c.Elapsed()
	b = strconv.AppendBool(dissect.AppendKey(b, "timed"), elapsed)
	b = fmt.Appendf(b, `,"sizes":[%d,%d]`, c.RequestSize, c.ResponseSize)
	b = c.Message.AppendFields(b)
	for part, name := range [...]string{"request_body", "response_body"} {
		body := c.Message.Body(part)
		if body == nil {
			continue
		}
		b = dissect.AppendBytes(dissect.AppendKey(b, name), body.Data[:min(len(body.Data), bodyShown)])
		b = strconv.AppendInt(dissect.AppendKey(b, name+"_decoded"), int64(len(body.Data)), 10)
		if body.Encoding != "" {
			b = dissect.AppendString(dissect.AppendKey(b, name+"_encoding"), body.Encoding)
		}
		if body.Truncated {
			b = append(dissect.AppendKey(b, name+"_truncated"), "true"...)
		}
		if body.Err != nil {
			b = dissect.AppendString(dissect.AppendKey(b, name+"_error"), body.Err.Error())
		}
	}
	w.out = append(b, '}', '\n')
}
