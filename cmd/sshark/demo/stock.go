package demo

import (
	"context"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// stock is the gRPC service shop.Stock: Reserve takes the number of a product and says how many
// are left, Watch says it again and again.
type stock struct{ reserved atomic.Int64 }

// server is what stockService is served by.
type server interface {
	reserve(ctx context.Context, product *wrapperspb.Int64Value) (*wrapperspb.Int64Value, error)
	watch(product *wrapperspb.Int64Value, out grpc.ServerStream) error
}

// Paths of the service's methods.
const (
	reserveMethod = "/shop.Stock/Reserve"
	watchMethod   = "/shop.Stock/Watch"
)

// stockService is what a generator would make of shop.proto: messages are well-known ones, so
// that there is nothing to generate.
func stockService() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "shop.Stock", HandlerType: (*server)(nil), Metadata: "shop.proto",
		Methods: []grpc.MethodDesc{{MethodName: "Reserve", Handler: func(s any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			in := new(wrapperspb.Int64Value)
			if err := decode(in); err != nil {
				return nil, err
			}
			return s.(server).reserve(ctx, in)
		}}},
		Streams: []grpc.StreamDesc{{StreamName: "Watch", ServerStreams: true, Handler: func(s any, out grpc.ServerStream) error {
			in := new(wrapperspb.Int64Value)
			if err := out.RecvMsg(in); err != nil {
				return err
			}
			return s.(server).watch(in, out)
		}}},
	}
}

func (s *stock) run(ctx context.Context, ready func()) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", ":"+strconv.Itoa(stockPort))
	if err != nil {
		return err
	}
	srv := grpc.NewServer()
	srv.RegisterService(stockService(), s)
	defer context.AfterFunc(ctx, srv.Stop)()
	ready()
	return srv.Serve(l)
}

// reserve knows few products, and runs out of some.
func (s *stock) reserve(_ context.Context, product *wrapperspb.Int64Value) (*wrapperspb.Int64Value, error) {
	switch id := product.Value; {
	case id < 0 || id >= products:
		return nil, status.Errorf(codes.NotFound, "no product %d", id)
	case productByID(int(id)).Stock == 0 || chance(0.05):
		return nil, status.Errorf(codes.ResourceExhausted, "product %d is sold out", id)
	}
	return wrapperspb.Int64(s.reserved.Add(1)), nil
}

func (s *stock) watch(product *wrapperspb.Int64Value, out grpc.ServerStream) error {
	for range 5 {
		if !pause(out.Context(), 50*time.Millisecond) {
			return out.Context().Err()
		}
		if err := out.SendMsg(wrapperspb.Int64(product.Value % 50)); err != nil {
			return err
		}
	}
	return nil
}

// newStockClient connects when it is first used.
func newStockClient() (*grpc.ClientConn, error) {
	dial := newDialer()
	return grpc.NewClient("passthrough:///"+hostPort(ordersMember, stockPort), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return dial(ctx, "tcp", address) }))
}

// watchStock looks at a product for a while.
func watchStock(ctx context.Context, c *grpc.ClientConn, product int) error {
	s, err := c.NewStream(ctx, &grpc.StreamDesc{StreamName: "Watch", ServerStreams: true}, watchMethod)
	if err != nil {
		return err
	}
	if err := s.SendMsg(wrapperspb.Int64(int64(product))); err != nil {
		return err
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	for {
		if err := s.RecvMsg(new(wrapperspb.Int64Value)); err != nil {
			return err // io.EOF at the end
		}
	}
}
