package gql_test

import (
	"flag"
	"testing"

	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/dissect/dissecttest"
	"github.com/sshark/sshark/dissect/http1"
	"github.com/sshark/sshark/dissect/http2"
)

var update = flag.Bool("update", false, "write the golden files")

// TestRecorded reads what was recorded of real programs: see testdata.
func TestRecorded(t *testing.T) {
	dissecttest.Golden(t, *update, "testdata/*.pcap", http1.Protocol(), http2.Protocol())
}

func FuzzRecorded(f *testing.F) { cuttest.Fuzz(f, "testdata/*.pcap", http1.Protocol()) }
