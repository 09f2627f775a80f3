package proxy_test

import (
	"flag"
	"testing"

	"github.com/sshark/sshark/dissect/dissecttest"
	"github.com/sshark/sshark/dissect/http1"
	"github.com/sshark/sshark/dissect/proxy"
	"github.com/sshark/sshark/dissect/tls"
)

var update = flag.Bool("update", false, "write the golden files")

// TestRecorded reads what testdata/record.sh recorded: what stands behind the headers is found.
func TestRecorded(t *testing.T) {
	dissecttest.Golden(t, *update, "testdata/*.pcap", proxy.Protocol(), http1.Protocol(), tls.Protocol())
}
