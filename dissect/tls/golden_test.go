package tls_test

import (
	"flag"
	"testing"

	"github.com/sshark/sshark/dissect/dissecttest"
	"github.com/sshark/sshark/dissect/dns"
	"github.com/sshark/sshark/dissect/http1"
	"github.com/sshark/sshark/dissect/http2"
	"github.com/sshark/sshark/dissect/tls"
)

var update = flag.Bool("update", false, "write the golden files")

// TestDecrypted reads what testdata/record-keys.sh recorded, with the secrets.
func TestDecrypted(t *testing.T) {
	dissecttest.Golden(t, *update, "testdata/*.pcapng", http1.Protocol(), http2.Protocol(), tls.Protocol(), dns.Protocol())
}

// TestRecorded reads what testdata/record.sh recorded.
func TestRecorded(t *testing.T) {
	dissecttest.Golden(t, *update, "testdata/*.pcap", http1.Protocol(), tls.Protocol(), dns.Protocol())
}
