package mqtt

import "github.com/sshark/sshark/dissect"

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "mqtt_type", Kind: dissect.String, Help: "type of packet: CONNECT, PUBLISH, SUBACK", Example: `"PUBLISH"`, Get: dissect.Of(func(m *packet) any { return boxed[m.kind] })},
	{Name: "mqtt_topic", Kind: dissect.String, Help: "topic; of SUBSCRIBE the first filter", Example: `"shop/orders"`, Get: dissect.Of(func(m *packet) any { return known(m.topic) })},
	{Name: "mqtt_topics", Kind: dissect.Strings, Help: "filters of SUBSCRIBE and UNSUBSCRIBE", Example: `"shop/#"`,
		Get: dissect.Of(func(m *packet) any {
			if m.list == nil {
				return nil
			}
			list := []string{}
			m.eachFilter(func(filter []byte) { list = append(list, string(filter)) })
			return list
		})},
	{Name: "mqtt_qos", Kind: dissect.Int, Help: "quality of service of PUBLISH: 0, 1, 2", Example: "1", Get: ofPublish(func(m *packet) any { return int64(m.qos()) })},
	{Name: "mqtt_retain", Kind: dissect.Bool, Help: "the broker keeps, or kept, the message", Example: "true", Get: ofPublish(func(m *packet) any { return m.first&1 != 0 })},
	{Name: "mqtt_dup", Kind: dissect.Bool, Help: "PUBLISH is sent again", Example: "true", Get: ofPublish(func(m *packet) any { return m.first&8 != 0 })},
	{Name: "mqtt_size", Kind: dissect.Int, Help: "bytes of the payload", Example: "64", Get: ofPublish(func(m *packet) any { return m.size })},
	{Name: "mqtt_packet_id", Kind: dissect.Int, Help: "packet identifier, which an acknowledgement repeats", Example: "7", Get: dissect.Of(func(m *packet) any { return positive(m.id) })},
	{Name: "mqtt_client_id", Kind: dissect.String, Help: "client identifier (CONNECT)", Example: `"sensor-7"`,
		Get: dissect.Of(func(m *packet) any {
			if !m.identified {
				return nil
			}
			return string(m.client)
		})},
	{Name: "mqtt_username", Kind: dissect.String, Help: "user name (CONNECT)", Example: `"sensors"`, Get: dissect.Of(func(m *packet) any { return known(m.user) })},
	{Name: "mqtt_version", Kind: dissect.String, Help: "version, where CONNECT was seen: 3.1, 3.1.1, 5.0", Example: `"5.0"`, Get: dissect.Of(func(m *packet) any { return known([]byte(m.versionName())) })},
	{Name: "mqtt_reason_code", Kind: dissect.Int, Help: "return or reason code; of several the first failure", Example: "135", Get: dissect.Of(func(m *packet) any { return positive(m.reason) })},
}

// boxed are the names of the types: filters ask for them at every call.
var boxed = func() (list [16]any) {
	for i, name := range typeNames {
		list[i] = name
	}
	return list
}()

func ofPublish(get func(*packet) any) func(*dissect.Call) any {
	return dissect.Of(func(m *packet) any {
		if m.kind != publish {
			return nil
		}
		return get(m)
	})
}

func positive(n int) any {
	if n < 0 {
		return nil
	}
	return int64(n)
}

func known(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return string(b)
}
