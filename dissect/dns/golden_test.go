package dns_test

import (
	"flag"
	"testing"

	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/dissect/dissecttest"
	"github.com/sshark/sshark/dissect/dns"
)

var update = flag.Bool("update", false, "write the golden files")

// TestRecorded reads what testdata/record.sh recorded.
func TestRecorded(t *testing.T) {
	dissecttest.Golden(t, *update, "testdata/*.pcap", dns.Protocol())
}

func FuzzDatagrams(f *testing.F) { cuttest.FuzzFlows(f, "testdata/*.pcap", dns.Protocol()) }

func FuzzStream(f *testing.F) { cuttest.Fuzz(f, "testdata/*tcp.pcap", dns.Protocol()) }
