package http

import "github.com/sshark/sshark/dissect"

// Fields are those of every HTTP call, in JSON order. Protocols that HTTP carries have them
// too, before their own.
var Fields = []dissect.Field{
	{Name: "method", Kind: dissect.String, Help: "request method", Example: `"GET"`, Get: ofRequest(getMethod)},
	{Name: "url", Kind: dissect.String, Help: "target of the request as it was sent", Example: `"/cart?id=1"`,
		Get: ofRequest(func(m Message) any { return known(m.URL()) })},
	{Name: "path", Kind: dissect.String, Help: "path of the target, without the query", Example: `"/cart"`,
		Get: ofRequest(func(m Message) any { p, _ := SplitURL(m.URL()); return string(p) })},
	{Name: "host", Kind: dissect.String, Help: "host that was asked for", Example: `"shop.example"`,
		Get: ofRequest(func(m Message) any { return string(m.Host()) })},
	{Name: "http_version", Kind: dissect.String, Help: "protocol version", Example: `"HTTP/1.1"`, Get: getVersion},
	{Name: "query_string", Kind: dissect.Map, Help: "parameters of the query, percent-encoding undone", Example: `"id"`,
		Get: ofRequest(func(m Message) any { _, q := SplitURL(m.URL()); return toMap(AppendQuery(nil, q), queryKind) })},
	{Name: "request.headers", Kind: dissect.Map, Help: "headers of the request, names in lower case", Example: `"user-agent"`,
		Get: ofRequest(getHeaders)},
	{Name: "request.cookies", Kind: dissect.Map, Help: "cookies that the client sent", Example: `"session"`,
		Get: ofRequest(func(m Message) any { return toMap(appendCookies(nil, m.Headers()), cookieKind) })},
	{Name: "request.trailers", Kind: dissect.Map, Help: "headers behind the body of an HTTP/2 request", Example: `"x-checksum"`,
		Get: ofRequest(getTrailers)},
	{Name: "request_headers_size", Kind: dissect.Int, Help: "bytes of the request's start line and headers; in HTTP/2 as they were compressed", Example: `1024`, Get: ofRequest(getHeadSize)},
	{Name: "request_body_size", Kind: dissect.Int, Help: "bytes of the request's body as sent, without framing", Example: `1024`, Get: ofRequest(getBodySize)},
	{Name: "status_code", Kind: dissect.Int, Help: "status of the response", Example: `404`, Get: ofResponse(getStatus)},
	{Name: "response.headers", Kind: dissect.Map, Help: "headers of the response, names in lower case", Example: `"content-type"`,
		Get: ofResponse(getHeaders)},
	{Name: "response.cookies", Kind: dissect.Map, Help: "cookies that the server set", Example: `"session"`,
		Get: ofResponse(func(m Message) any { return toMap(appendSetCookies(nil, m.Headers()), cookieKind) })},
	{Name: "response.trailers", Kind: dissect.Map, Help: "headers behind the body of an HTTP/2 response", Example: `"grpc-status"`,
		Get: ofResponse(getTrailers)},
	{Name: "response_headers_size", Kind: dissect.Int, Help: "bytes of the response's status line and headers; in HTTP/2 as they were compressed", Example: `1024`, Get: ofResponse(getHeadSize)},
	{Name: "response_body_size", Kind: dissect.Int, Help: "bytes of the response's body as sent, without framing", Example: `1000000`, Get: ofResponse(getBodySize)},
	{Name: "http2_stream", Kind: dissect.Int, Help: "number of the HTTP/2 stream", Example: `1`,
		Get: ofFrames(func(f *Frames) any { return int64(f.Stream) })},
	{Name: "http2_push", Kind: dissect.Bool, Help: "the server promised it without being asked", Example: `true`,
		Get: ofFrames(func(f *Frames) any { return f.Push })},
	{Name: "http2_error", Kind: dissect.String, Help: "error code that ended the HTTP/2 stream", Example: `"CANCEL"`,
		Get: ofFrames(func(f *Frames) any { return f.Error })},
	{Name: "http2_missing_headers", Kind: dissect.Int, Help: "headers that cannot be known, since the connection's beginning was not seen", Example: `1`,
		Get: ofFrames(func(f *Frames) any { return int64(f.Missing) })},
}

// ofRequest makes a getter of the request: nil where there is none.
func ofRequest(get func(Message) any) func(*dissect.Call) any {
	return func(c *dissect.Call) any {
		if h, ok := c.Message.(Call); ok {
			if m := h.Request(); m != nil {
				return get(m)
			}
		}
		return nil
	}
}

func ofResponse(get func(Message) any) func(*dissect.Call) any {
	return func(c *dissect.Call) any {
		if h, ok := c.Message.(Call); ok {
			if m := h.Response(); m != nil {
				return get(m)
			}
		}
		return nil
	}
}

func ofFrames(get func(*Frames) any) func(*dissect.Call) any {
	return func(c *dissect.Call) any {
		if f, ok := c.Message.(framed); ok {
			return get(f.Frames())
		}
		return nil
	}
}

func getVersion(c *dissect.Call) any {
	h, ok := c.Message.(Call)
	if !ok {
		return nil
	}
	m := h.Request()
	if m == nil {
		m = h.Response()
	}
	if m == nil {
		return nil
	}
	// Boxed once: the flag http2 asks for it at every call.
	switch v := m.Version(); v {
	case "HTTP/1.1":
		return boxed11
	case "HTTP/2":
		return boxed2
	default:
		return v
	}
}

var boxed11, boxed2 any = "HTTP/1.1", "HTTP/2"

// known is nil for what is empty because it could not be known.
func known(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	return string(b)
}

func getHeaders(m Message) any  { return toMap(m.Headers(), headerKind) }
func getHeadSize(m Message) any { return int64(m.HeadSize()) }
func getBodySize(m Message) any { return m.BodySize() }

func getTrailers(m Message) any {
	if t := m.Trailers(); len(t) > 0 {
		return toMap(t, headerKind)
	}
	return nil
}

// statuses and common methods are boxed once: filters ask for them at every call.
var (
	statuses = func() (t [500]any) {
		for i := range t {
			t[i] = int64(100 + i)
		}
		return t
	}()
	boxed = [...]any{"GET", "POST", "PUT", "DELETE", "HEAD"}
)

func getStatus(m Message) any {
	switch s := m.Status(); {
	case s >= 100 && s < 600:
		return statuses[s-100]
	case s == 0:
		return nil
	default:
		return int64(s)
	}
}

func getMethod(m Message) any {
	method := m.Method()
	for i := range boxed {
		if name, _ := boxed[i].(string); string(method) == name {
			return boxed[i]
		}
	}
	return known(method)
}
