package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	for _, tt := range []struct {
		name, events      string
		want, wantMissing []string
	}{
		{
			"pass and skip",
			`{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"=== RUN   TestB\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:12: needs root: reads the ring\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"pass","Package":"p","Elapsed":1.25}
{"Action":"skip","Package":"empty"}`,
			[]string{"ok    p  1.2s\n", "  p TestB: needs root: reads the ring\n", "\n1 passed, 0 failed, 1 skipped\n"},
			[]string{"noise", "empty"},
		},
		{
			"failure is printed whole",
			`{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: got 1\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p","Elapsed":0.1}`,
			[]string{"a_test.go:3: got 1\n", "FAIL  p", "0 passed, 1 failed, 0 skipped\n"},
			nil,
		},
		{
			"does not build",
			`{"ImportPath":"p","Action":"build-output","Output":"p/a.go:1: syntax error\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"fail","Package":"p","Elapsed":0,"FailedBuild":"p"}`,
			[]string{"syntax error\n", "FAIL  p", "0 passed, 1 failed, 0 skipped\n"},
			nil,
		},
		{
			"panic cuts a test off",
			`{"Action":"output","Package":"p","Test":"TestA","Output":"panic: oh\n"}
{"Action":"fail","Package":"p"}`,
			[]string{"panic: oh\n", "0 passed, 1 failed, 0 skipped\n"},
			nil,
		},
		{"no event", "go: cannot find main module\n", []string{"cannot find main module", "0 passed, 0 failed, 0 skipped\n"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			r := newReport(&out)
			if err := r.read(strings.NewReader(tt.events)); err != nil {
				t.Fatal(err)
			}
			r.sum()
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, &out)
				}
			}
			for _, not := range tt.wantMissing {
				if strings.Contains(out.String(), not) {
					t.Errorf("%q in\n%s", not, &out)
				}
			}
		})
	}
}
