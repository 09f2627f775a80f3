package demo

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// feed tells prices over a WebSocket, as they change, for as long as somebody listens.
func feed(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		return // the library has answered
	}
	defer c.CloseNow()
	ctx := c.CloseRead(r.Context())
	for n := 0; pause(ctx, 400*time.Millisecond); n++ {
		p := productByID(n % products)
		if err := wsjson.Write(ctx, c, map[string]any{"product": p.ID, "name": p.Name, "price": p.Price, "tags": p.Tags}); err != nil {
			return
		}
		if n%10 == 9 && c.Ping(ctx) != nil {
			return
		}
	}
}

// listen is somebody who looks at prices for a while, over and over.
func listen(ctx context.Context) error {
	http := newHTTPClient(0)
	for n := 0; pause(ctx, time.Second); n++ {
		c, _, err := websocket.Dial(ctx, fmt.Sprintf("ws://%s/feed?n=%d", hostPort(catalogMember, catalogPort), n), &websocket.DialOptions{HTTPClient: http,
			CompressionMode: []websocket.CompressionMode{websocket.CompressionDisabled, websocket.CompressionContextTakeover}[n%2]})
		if err != nil {
			continue // the catalog may not be there yet, or no longer
		}
		for range 20 {
			kind, text, err := c.Read(ctx)
			if err != nil || kind != websocket.MessageText || !strings.Contains(string(text), "price") {
				break
			}
		}
		c.Close(websocket.StatusNormalClosure, "enough")
	}
	return nil
}
