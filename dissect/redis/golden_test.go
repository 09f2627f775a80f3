package redis

import (
	"flag"
	"fmt"
	"testing"

	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/dissect/cuttest"
	"github.com/sshark/sshark/dissect/dissecttest"
)

var update = flag.Bool("update", false, "write the golden files")

const recorded = "testdata/*.pcap"

// TestRecorded reads what testdata/record.sh recorded.
func TestRecorded(t *testing.T) { dissecttest.Golden(t, *update, recorded, Protocol()) }

func TestRecordedCut(t *testing.T) {
	// Where many commands are on their way, what is seen from the middle cannot be paired.
	cuttest.Cut(t, "testdata/[acilms]*.pcap", Protocol(), func(c *dissect.Call) (request, response string) {
		e := c.Message.(*exchange)
		if e.said {
			response = string(e.AppendStatus(nil))
		}
		return fmt.Sprintf("%s %d", e.AppendSummary(nil), c.RequestSize), response
	})
}

func FuzzRecorded(f *testing.F) { cuttest.Fuzz(f, recorded, Protocol()) }
