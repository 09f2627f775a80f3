package amqp

import (
	"flag"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/dissect/dissecttest"
	"github.com/sshark/sshark/dissect/dns"
	"github.com/sshark/sshark/dissect/http1"
)

var update = flag.Bool("update", false, "write the golden files")

const recorded = "testdata/*.pcap"

// TestRecorded reads captures; testdata/README.md says how they were made.
func TestRecorded(t *testing.T) {
	dissecttest.Golden(t, *update, recorded, http1.Protocol(), Protocol(), dns.Protocol())
}

func TestCut(t *testing.T) {
	cuttest.Cut(t, recorded, Protocol(), func(c *dissect.Call) (request, response string) {
		return string(c.Message.AppendFields(nil)), ""
	})
}

func FuzzParser(f *testing.F) { cuttest.Fuzz(f, recorded, Protocol()) }
