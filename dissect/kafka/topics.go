package kafka

import (
	"encoding/base64"
	"encoding/binary"
)

// Limits of topics.
const (
	maxName   = 249  // bytes of a name, as Kafka has it
	maxTopics = 64   // that are told of a request
	maxNames  = 4096 // whose IDs are known of a connection
)

// names are topics by ID, as a connection's responses tell them.
type names map[[16]byte]string

func (n names) learn(id, name []byte) {
	if _, known := n[[16]byte(id)]; known || len(n) < maxNames {
		if n[[16]byte(id)] != string(name) {
			n[[16]byte(id)] = string(name)
		}
	}
}

// topics is a list of topics: for each, two bytes with the length of its name, and the name.
type topics struct {
	list  []byte
	n     int
	names names
}

// add takes a topic that has a name, an ID or both. One whose name is not known is told by
// its ID, in the form that Kafka prints.
func (t *topics) add(name, id []byte) {
	name = name[:min(len(name), maxName)]
	if name != nil && id != nil {
		t.names.learn(id, name)
	}
	if t.n++; t.n > maxTopics {
		return
	}
	if name == nil {
		if known, ok := t.names[[16]byte(id)]; ok {
			t.list = binary.BigEndian.AppendUint16(t.list, uint16(len(known)))
			t.list = append(t.list, known...)
			return
		}
		var mem [22]byte
		base64.RawURLEncoding.Encode(mem[:], id)
		name = mem[:]
	}
	t.list = binary.BigEndian.AppendUint16(t.list, uint16(len(name)))
	t.list = append(t.list, name...)
}

// nextTopic returns the first topic of a list, and the rest of it.
func nextTopic(list []byte) (name, rest []byte) {
	n := 2 + int(binary.BigEndian.Uint16(list))
	return list[2:n], list[n:]
}
