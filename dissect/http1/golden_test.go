package http1_test

import (
	"flag"
	"testing"

	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/dissect/dissecttest"
	"github.com/sshark/sshark/dissect/http1"
)

var update = flag.Bool("update", false, "write the golden files")

// TestRecorded reads what testdata/record.sh recorded.
func TestRecorded(t *testing.T) {
	dissecttest.Golden(t, *update, "testdata/*.pcap", http1.Protocol())
}

func FuzzRecorded(f *testing.F) { cuttest.Fuzz(f, "testdata/*.pcap", http1.Protocol()) }
