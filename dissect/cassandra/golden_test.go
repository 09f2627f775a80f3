package cassandra

import (
	"flag"
	"fmt"
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

// TestCut: the text of a prepared statement may be lost, so it does not tell calls apart.
func TestCut(t *testing.T) {
	cuttest.Cut(t, recorded, Protocol(), func(c *dissect.Call) (request, response string) {
		e := c.Message.(*exchange)
		if e.said {
			response = fmt.Sprint(e.resp.op, e.resp.kind, e.resp.code, c.ResponseSize)
		}
		text := e.mem[:e.text]
		if e.op == opBatch {
			text = nil
		}
		return fmt.Sprintf("%v %d %d %x %s %d", e.asked, e.op, e.stream, e.id[:e.idSize], text, c.RequestSize), response
	})
}

func FuzzParser(f *testing.F) { cuttest.Fuzz(f, recorded, Protocol()) }
