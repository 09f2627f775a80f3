package mqtt_test

import (
	"flag"
	"testing"

	"github.com/sshark/sshark/dissect/dissecttest"
	"github.com/sshark/sshark/dissect/dns"
	"github.com/sshark/sshark/dissect/http1"
	"github.com/sshark/sshark/dissect/mqtt"
)

var update = flag.Bool("update", false, "write the golden files")

// TestRecorded reads what testdata/record.sh recorded.
func TestRecorded(t *testing.T) {
	dissecttest.Golden(t, *update, "testdata/*.pcap", http1.Protocol(), mqtt.Protocol(), dns.Protocol())
}
