package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/sshark/sshark/servicemap/identity"
)

// listener follows the pods of a node, and takes what it is told when the test lets it.
type listener struct {
	heard chan string
	ended chan error
}

func listen(ctx context.Context, w *world, node string) *listener {
	l := &listener{make(chan string), make(chan error, 1)}
	go func() {
		l.ended <- w.Pods(ctx, node, func(pods []identity.Pod, gone []string, whole bool) error {
			var words []string
			if whole {
				words = append(words, "whole")
			}
			for _, p := range pods {
				text := p.Pod
				if p.Service != "" {
					text += "/" + p.Service
				}
				if p.HostNetwork {
					text += "/host"
				}
				words = append(words, fmt.Sprint(text, p.Addrs))
			}
			for _, uid := range gone {
				words = append(words, "-"+uid)
			}
			select {
			case l.heard <- strings.Join(words, " "):
				return nil
			case <-ctx.Done():
				return errors.New("the test has ended")
			}
		})
	}()
	return l
}

func (l *listener) expect(t *testing.T, want string) {
	t.Helper()
	synctest.Wait()
	select {
	case got := <-l.heard:
		if got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	default:
		if want != "" {
			t.Errorf("heard nothing, want %q", want)
		}
	}
}

func TestPods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		w := newWorld(t, Options{})
		l := listen(ctx, w, "a")
		host := aPod("agent", 1, "172.16.0.1")
		host.Spec.HostNetwork = true
		cart := aPod("cart", 1, "10.1.0.5", "fd00::5")
		other := aPod("other", 1, "10.1.1.1")
		other.Spec.NodeName = "b"
		w.put(host, cart, other)
		l.expect(t, "") // before all is known
		close(w.ready)
		l.expect(t, "whole agent/host[172.16.0.1] cart[10.1.0.5 fd00::5]")
		l.expect(t, "")

		w.put(aService("web", "cart", 0, "10.96.0.1"))
		l.expect(t, "cart/web[10.1.0.5 fd00::5]")
		cart.Status.Message = "of no interest"
		w.put(cart, aPod("elsewhere", 1), but(aPod("x", 1), func(p *corev1.Pod) { p.Spec.NodeName = "" }))
		l.expect(t, "elsewhere[]")

		// It has ended, and is not gone.
		cart.Status.Phase = corev1.PodSucceeded
		w.put(cart)
		l.expect(t, "cart/web[]")
		w.drop(cart)
		l.expect(t, "-uid-shop-cart")

		// A pod is told of when it gets its node.
		w.put(aPod("x", 1, "10.1.0.8"))
		l.expect(t, "x[10.1.0.8]")

		cancel()
		if err := <-l.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
		if len(w.followers) != 0 {
			t.Error("the follower is still known")
		}
	})
}

// TestPodsCoalesce: who is slow is told how things are by then.
func TestPodsCoalesce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		w := newWorld(t, Options{})
		close(w.ready)
		kept := aPod("kept", 1, "10.1.0.1")
		w.put(kept, aPod("gone", 1, "10.1.0.2"))
		l := listen(ctx, w, "a")
		l.expect(t, "whole gone[10.1.0.2] kept[10.1.0.1]")
		w.put(aPod("first", 1)) // waits to be heard
		synctest.Wait()
		for i := range 1000 {
			kept.Labels = map[string]string{"n": fmt.Sprint(i)}
			short := aPod(fmt.Sprint("short", i), 1, "10.1.0.9")
			w.put(kept, short)
			w.drop(short)
		}
		w.drop(aPod("gone", 1))
		again := aPod("kept", 2, "10.1.0.3")
		again.UID = "again"
		w.put(again)
		var f *follower
		for f = range w.followers["a"] {
		}
		if n := len(f.changed) + len(f.gone); n != 3 {
			t.Errorf("%d changes are kept", n)
		}
		l.expect(t, "first[]")
		l.expect(t, "kept[10.1.0.3] -uid-shop-gone -uid-shop-kept")
		l.expect(t, "")
		cancel()
		<-l.ended
	})
}

// TestPodsEnd: an error of the taker is returned as it is; one that waits for the first
// synchronisation ends with its context.
func TestPodsEnd(t *testing.T) {
	w := newWorld(t, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.Pods(ctx, "a", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	close(w.ready)
	enough := errors.New("enough")
	err := w.Pods(context.Background(), "a", func(pods []identity.Pod, gone []string, whole bool) error {
		if len(pods)+len(gone) != 0 || !whole {
			t.Errorf("told %v, %v, whole: %v", pods, gone, whole)
		}
		return enough
	})
	if err != enough {
		t.Errorf("it ended with %v", err)
	}
}

func TestLists(t *testing.T) {
	w := newWorld(t, Options{})
	w.namespaces["shop"], w.namespaces["default"] = struct{}{}, struct{}{}
	if got := w.Namespaces(); !slices.Equal(got, []string{"default", "shop"}) {
		t.Errorf("%q", got)
	}
	w.put(aNode("b", 0), aNode("a", 0))
	if got := w.Nodes(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q", got)
	}
	static := aPod("static", 10, "172.16.0.1")
	static.Annotations, static.Spec.HostNetwork = map[string]string{"kubernetes.io/config.mirror": "cafe"}, true
	w.put(static, aPod("pending", 10),
		but(aPod("ended", 10, "10.1.0.2"), func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }))
	want := []Running{{Namespace: "shop", Name: "static", UID: "cafe", Node: "a", HostNetwork: true, Since: time.Unix(0, ns(10))}}
	if got := w.Running(); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
