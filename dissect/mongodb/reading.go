package mongodb

import (
	"bytes"
	"encoding/binary"
)

// reading is what a message says. It borrows the message.
type reading struct {
	from       int    // where its document begins
	documents  bool   // there is one
	name       []byte // of the command
	database   []byte
	collection []byte
	unanswered bool // no reply is wanted

	failed   bool
	ok       bool // the reply says so
	code     int64
	codeName []byte
	text     []byte // of the error
}

// read reads what stands behind a header, as far as it is there.
func (r *reading) read(op int32, b []byte) {
	*r = reading{}
	switch op {
	case opMsg:
		if len(b) < 4 {
			return
		}
		flags := binary.LittleEndian.Uint32(b)
		r.unanswered = flags&flagMore != 0
		r.sections(b[4:])
	case opReply:
		if r.from = 20; len(b) < r.from {
			return
		}
		const queryFailure = 1<<0 | 1<<1 // the cursor is not there, the query failed
		r.failed = binary.LittleEndian.Uint32(b)&queryFailure != 0
		if b = b[r.from:]; len(b) >= 4 && int64(binary.LittleEndian.Uint32(b)) <= int64(len(b)) {
			r.ok = !r.failed // or the document that is there says otherwise
		}
		r.document(b)
	case opQuery:
		if len(b) < 4 {
			return
		}
		rest := r.fullName(b[4:])
		r.from = len(b) - len(rest) + 8
		if string(r.collection) == "$cmd" {
			r.collection = nil
			r.command(b[min(r.from, len(b)):])
		} else {
			r.documents = r.from < len(b)
		}
	case opInsert, opUpdate, opDelete, opGetMore:
		r.unanswered = op != opGetMore
		if len(b) < 4 {
			return
		}
		r.from = len(b) - len(r.fullName(b[4:]))
	case opKillCursors:
		r.unanswered = true
	case opCommand:
		var rest []byte
		r.database, rest, _ = bytes.Cut(b, []byte{0})
		name, rest, _ := bytes.Cut(rest, []byte{0})
		r.from = len(b) - len(rest)
		r.command(rest)
		r.name = name
	case opCommandReply:
		r.ok = true
		r.document(b)
	}
}

// fullName reads "database.collection" and returns what is behind it, nil where it is cut.
func (r *reading) fullName(b []byte) []byte {
	full, rest, ended := bytes.Cut(b, []byte{0})
	r.database, r.collection, _ = bytes.Cut(full, []byte{'.'})
	if !ended {
		if bytes.HasPrefix([]byte("$cmd"), r.collection) { // which stands for none
			r.collection = nil
		}
		return nil
	}
	return rest
}

// Kinds of sections of OP_MSG.
const (
	sectionBody     = 0
	sectionSequence = 1 // documents, with a length and a name before them
)

// sections goes through those of OP_MSG.
func (r *reading) sections(b []byte) {
	r.from = 5
	for at := 0; at+5 <= len(b); {
		kind, n := b[at], int64(binary.LittleEndian.Uint32(b[at+1:]))
		if kind == sectionBody {
			r.from = 4 + at + 1
			r.document(b[at+1:])
			return
		}
		if kind != sectionSequence || n < 5 || n > int64(len(b)) {
			return
		}
		at += 1 + int(n)
	}
}

// document reads one that is a command or the reply to one: it is not told which, and what
// does not fit is not used.
func (r *reading) document(b []byte) {
	r.command(b)
	d := newDocument(b)
	for first := true; ; first = false {
		e, ok := d.next()
		if !ok {
			return
		}
		switch string(e.name) {
		case "ok":
			if n, known := e.number(); known {
				r.ok = n != 0
				r.failed = r.failed || n == 0
			}
		case "cursor":
			r.ok = r.ok || first
		case "code":
			if n, known := e.number(); known && r.code == 0 {
				r.code = n
			}
		case "codeName":
			if t := e.text(); t != nil && r.codeName == nil {
				r.codeName = t
			}
		case "errmsg", "$err":
			if t := e.text(); t != nil && r.text == nil {
				r.text = t
			}
			r.failed = r.failed || e.name[0] == '$'
		case "writeErrors":
			if e.kind == bsonArray {
				list := newDocument(e.value)
				if one, ok := list.next(); ok && one.kind == bsonDocument {
					r.fault(one.value)
				}
			}
		case "writeConcernError":
			if e.kind == bsonDocument {
				r.fault(e.value)
			}
		}
	}
}

// fault reads an error within a reply that is well otherwise.
func (r *reading) fault(b []byte) {
	if r.failed {
		return
	}
	var inner reading
	inner.document(b)
	r.failed, r.code, r.codeName, r.text = true, inner.code, inner.codeName, inner.text
}

// command reads what a command is, and what about.
func (r *reading) command(b []byte) {
	d := newDocument(b)
	first, ok := d.next()
	if !ok {
		return
	}
	r.documents = true
	if (string(first.name) == "$query" || string(first.name) == "query") && first.kind == bsonDocument && r.database != nil {
		d = newDocument(first.value) // with a read preference beside it
		if first, ok = d.next(); !ok {
			return
		}
	}
	r.name = first.name
	switch {
	case string(r.name) == "explain" && first.kind == bsonDocument:
		inner := newDocument(first.value)
		if e, ok := inner.next(); ok {
			r.collection = e.text()
		}
	case !aboutOthers(r.name):
		r.collection = first.text()
	}
	for {
		e, ok := d.next()
		if !ok {
			return
		}
		switch string(e.name) {
		case "$db":
			r.database = e.text()
			return
		case "collection":
			if r.collection == nil && string(r.name) == "getMore" {
				r.collection = e.text()
			}
		}
	}
}

// aboutOthers says whether the value of a command, where it is a string, is no collection: of
// users, roles, logs.
func aboutOthers(name []byte) bool {
	for _, word := range [...]string{"User", "Role", "usersInfo", "rolesInfo", "getLog", "renameCollection", "authenticate"} {
		if bytes.Contains(name, []byte(word)) {
			return true
		}
	}
	return false
}
