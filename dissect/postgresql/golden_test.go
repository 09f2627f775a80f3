package postgresql

import (
	"flag"
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
	// Those of the middle have holes: how they go on behind them depends on the pieces.
	cuttest.Cut(t, "testdata/[^m]*.pcap", Protocol(), func(c *dissect.Call) (request, response string) {
		e := c.Message.(*exchange)
		if e.said {
			response = string(e.AppendStatus(nil))
		}
		return e.command(), response // its text may be that of a Parse that is missing
	})
}

func FuzzRecorded(f *testing.F) { cuttest.Fuzz(f, recorded, Protocol()) }
