package kafka

import "github.com/sshark/sshark/dissect"

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "kafka_request", Kind: dissect.Bool, Help: "a request was seen", Example: "true",
		Get: dissect.Of(func(*exchange) any { return true })},
	{Name: "kafka_response", Kind: dissect.Bool, Help: "a response was seen", Example: "true",
		Get: dissect.Of(func(e *exchange) any { return e.said })},
	{Name: "kafka_api_key", Kind: dissect.Int, Help: "number of the API: 0 PRODUCE, 1 FETCH, 3 METADATA", Example: "0",
		Get: dissect.Of(func(e *exchange) any { return small(int64(e.key)) })},
	{Name: "kafka_api_key_name", Kind: dissect.String, Help: "name of the API", Example: `"PRODUCE"`, Get: dissect.Of(getName)},
	{Name: "kafka_api_version", Kind: dissect.Int, Help: "version of the API", Example: "12",
		Get: dissect.Of(func(e *exchange) any { return small(int64(e.version)) })},
	{Name: "kafka_correlation_id", Kind: dissect.Int, Help: "number that request and response share", Example: "17",
		Get: dissect.Of(func(e *exchange) any { return int64(e.correlation) })},
	{Name: "kafka_client_id", Kind: dissect.String, Help: "name that the client gives itself", Example: `"billing-1"`,
		Get: dissect.Of(func(e *exchange) any { return string(e.mem[:e.client]) })},
	{Name: "kafka_topics", Kind: dissect.Strings, Help: "topics that the request is about", Example: `"orders"`,
		Get: dissect.Of(func(e *exchange) any {
			names := []string{}
			for list := e.topics; len(list) > 0; {
				var name []byte
				name, list = nextTopic(list)
				names = append(names, string(name))
			}
			return names
		})},
	{Name: "kafka_error_code", Kind: dissect.Int, Help: "first error of the response, 0: none", Example: "3",
		Get: dissect.Of(func(e *exchange) any {
			if !e.coded {
				return nil
			}
			return small(int64(e.code))
		})},
	{Name: "kafka_error", Kind: dissect.String, Help: "name of that error", Example: `"UNKNOWN_TOPIC_OR_PARTITION"`,
		Get: dissect.Of(func(e *exchange) any {
			if e.code == 0 {
				return nil
			}
			return string(appendError(nil, e.code))
		})},
	{Name: "kafka_request_summary", Kind: dissect.String, Help: "API and topics", Example: `"PRODUCE orders"`,
		Get: dissect.Of(func(e *exchange) any { return string(e.AppendSummary(nil)) })},
	{Name: "kafka_request_size", Kind: dissect.Int, Help: "bytes of the request", Example: "1024",
		Get: dissect.Of(func(e *exchange) any { return e.size })},
	{Name: "kafka_response_size", Kind: dissect.Int, Help: "bytes of the response", Example: "1024",
		Get: dissect.Of(func(e *exchange) any {
			if !e.said {
				return nil
			}
			return e.answerSize
		})},
	{Name: "kafka_size", Kind: dissect.Int, Help: "bytes of request and response", Example: "1024",
		Get: dissect.Of(func(e *exchange) any { return e.size + e.answerSize })},
}

// Names and small numbers are boxed once: filters ask for them at every call.
var (
	boxedNames = func() (t [len(apis)]any) {
		for i := range apis {
			t[i] = apis[i].name
		}
		return t
	}()
	boxedInts = func() (t [256]any) {
		for i := range t {
			t[i] = int64(i)
		}
		return t
	}()
)

func small(n int64) any {
	if n >= 0 && n < int64(len(boxedInts)) {
		return boxedInts[n]
	}
	return n
}

func getName(e *exchange) any {
	if int(e.key) < len(apis) {
		return boxedNames[e.key]
	}
	return string(e.appendName(nil))
}
