// Package mqtt dissects MQTT 3.1, 3.1.1 and 5.0 (OASIS standards mqtt-v3.1.1 and mqtt-v5.0), on
// any TCP port.
//
// A call is one packet of either side, without an answer: acknowledgements are packets of
// their own, and may come much later, or on another connection.
//
// Payloads are counted, not kept: of a packet its first 1 KiB stays, more where bodies are
// wanted. Passwords are not repeated. A topic that MQTT 5.0 names by its alias is told by its
// name.
//
// Where bytes are missing: in a packet whose length is known the stream stays in step; else it
// ends there, marked incomplete, and the next one is looked for: packets, right in all their
// parts, up to the end of a piece, or a PUBLISH with its topic.
//
// It cannot know, where CONNECT was not seen: which version is spoken. Then the properties of
// MQTT 5.0 are part of a payload, and reason codes are told as far as the length of a packet
// gives them away. MQTT in a WebSocket and MQTT-SN are not dissected.
//
// A parser belongs to one flow and one goroutine. It holds at most 256 aliases of 64 KiB in all
// for a side, and allocates nothing for a call once it has seen one of its size.
package mqtt

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes MQTT.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "mqtt",
	Title:     "MQTT",
	Transport: []flow.Proto{flow.TCP},
	Detect:    detect,
	New:       func(_ *dissect.Flow, sink dissect.Sink) dissect.Parser { return newParser(sink) },
	Fields:    fields,
}
