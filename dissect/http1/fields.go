package http1

import "github.com/sshark/sshark/dissect"

// fields are in JSON order.
var fields = []dissect.Field{
	{Name: "method", Kind: dissect.String, Help: "request method", Example: `"GET"`, Get: ofRequest(getMethod)},
	{Name: "url", Kind: dissect.String, Help: "target of the request as it was sent", Example: `"/cart?id=1"`,
		Get: ofRequest(func(m *message) any { return string(m.url()) })},
	{Name: "path", Kind: dissect.String, Help: "path of the target, without the query", Example: `"/cart"`,
		Get: ofRequest(func(m *message) any { p, _ := splitURL(m.url()); return string(p) })},
	{Name: "host", Kind: dissect.String, Help: "host that was asked for", Example: `"shop.example"`,
		Get: ofRequest(func(m *message) any { return string(m.host()) })},
	{Name: "http_version", Kind: dissect.String, Help: "protocol version", Example: `"HTTP/1.1"`, Get: getVersion},
	{Name: "query_string", Kind: dissect.Map, Help: "parameters of the query, percent-encoding undone", Example: `"id"`,
		Get: ofRequest(func(m *message) any { _, q := splitURL(m.url()); return toMap(appendQuery(nil, q), queryKind) })},
	{Name: "request.headers", Kind: dissect.Map, Help: "headers of the request, names in lower case", Example: `"user-agent"`,
		Get: ofRequest(getHeaders)},
	{Name: "request.cookies", Kind: dissect.Map, Help: "cookies that the client sent", Example: `"session"`,
		Get: ofRequest(func(m *message) any { return toMap(m.appendCookies(nil), cookieKind) })},
	{Name: "request_headers_size", Kind: dissect.Int, Help: "bytes of the request's start line and headers", Example: `1024`, Get: ofRequest(getHeadSize)},
	{Name: "request_body_size", Kind: dissect.Int, Help: "bytes of the request's body as sent, without chunk framing", Example: `1024`, Get: ofRequest(getBodySize)},
	{Name: "status_code", Kind: dissect.Int, Help: "status of the response", Example: `404`, Get: ofResponse(getStatus)},
	{Name: "response.headers", Kind: dissect.Map, Help: "headers of the response, names in lower case", Example: `"content-type"`,
		Get: ofResponse(getHeaders)},
	{Name: "response.cookies", Kind: dissect.Map, Help: "cookies that the server set", Example: `"session"`,
		Get: ofResponse(func(m *message) any { return toMap(m.appendSetCookies(nil), cookieKind) })},
	{Name: "response_headers_size", Kind: dissect.Int, Help: "bytes of the response's status line and headers", Example: `1024`, Get: ofResponse(getHeadSize)},
	{Name: "response_body_size", Kind: dissect.Int, Help: "bytes of the response's body as sent, without chunk framing", Example: `1000000`, Get: ofResponse(getBodySize)},
}

// ofRequest makes a getter of the request: nil where there is none.
func ofRequest(get func(*message) any) func(*dissect.Call) any {
	return func(c *dissect.Call) any {
		if e, ok := c.Message.(*exchange); ok && e.req.seen {
			return get(&e.req)
		}
		return nil
	}
}

func ofResponse(get func(*message) any) func(*dissect.Call) any {
	return func(c *dissect.Call) any {
		if e, ok := c.Message.(*exchange); ok && e.resp.seen {
			return get(&e.resp)
		}
		return nil
	}
}

func getVersion(c *dissect.Call) any {
	e, ok := c.Message.(*exchange)
	switch {
	case !ok:
		return nil
	case e.req.seen:
		return e.req.version()
	}
	return e.resp.version()
}

func getHeaders(m *message) any  { return toMap(m.appendHeaders(nil), headerKind) }
func getHeadSize(m *message) any { return int64(len(m.head)) }
func getBodySize(m *message) any { return m.size }

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

func getStatus(m *message) any {
	if s := m.start.status; s >= 100 && s < 600 {
		return statuses[s-100]
	}
	return int64(m.start.status)
}

func getMethod(m *message) any {
	for i := range boxed {
		if name, _ := boxed[i].(string); string(m.method()) == name {
			return boxed[i]
		}
	}
	return string(m.method())
}
