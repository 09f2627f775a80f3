// Package mysql dissects the client/server protocol of MySQL and MariaDB, version 10 (MySQL
// Internals, "Client/Server Protocol"; MariaDB Knowledge Base, "Client/Server Protocol"), on any
// TCP port.
//
// A call is a command and its response, paired by order: of a query all its results, also
// those of procedures and of several statements, and of LOAD DATA LOCAL the file that is sent.
// The text of a prepared statement is that of its COM_STMT_PREPARE. The login with its
// authentication is a call without a command. COM_QUIT, COM_STMT_CLOSE and
// COM_STMT_SEND_LONG_DATA have no response.
//
// Compression (zlib, zstd) is undone where the login agreed on it, or where what is seen begins
// with it; sizes are then those before compression. A login that asks for TLS ends the
// conversation: what follows is for another protocol.
//
// Where bytes are missing: in a packet whose length is known the stream stays in step; else
// the response ends with a piece that ends as responses end, or with the next command. After a
// hole a response belongs to the newest command of a client that waits for each; of one that
// does not, nothing is paired until it has had as many responses to a batch as it had commands.
//
// It cannot know the text of statements that were prepared before what it saw, nor the database
// that was chosen then.
//
// A parser belongs to one flow and one goroutine. It holds at most 10,000 commands of 4 MiB in
// all, 4,000 prepared statements of 4 MiB (the oldest go first) and 1 MiB of a compressed
// packet, of whose rest only the size is known. It keeps 16 KiB of a query, more where bodies
// are wanted, and allocates nothing for a query that is not prepared.
package mysql

import (
	"github.com/sshark/sshark/dissect"
	"github.com/sshark/sshark/pcap/flow"
)

// Protocol describes MySQL.
func Protocol() *dissect.Protocol { return protocol }

var protocol = &dissect.Protocol{
	Name:      "mysql",
	Title:     "MySQL",
	Transport: []flow.Proto{flow.TCP},
	Detect:    detect,
	New: func(f *dissect.Flow, sink dissect.Sink) dissect.Parser {
		p := newParser(sink)
		p.half[1].missed = f.Opening == 0 // what came before the first response is not known
		return p
	},
	FromStart: true,
	Fields:    fields,
}
