// Trillian's own log server, admin server and sequencer over its in-memory storage.
//
// The shipped servers need a database. Prints the ID of a tree for the CT log once it serves; Rekor makes its own tree.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"sync"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/extension"
	trillianlog "github.com/google/trillian/log"
	"github.com/google/trillian/monitoring"
	"github.com/google/trillian/quota"
	"github.com/google/trillian/server"
	"github.com/google/trillian/server/admin"
	"github.com/google/trillian/server/interceptor"
	"github.com/google/trillian/storage"
	"github.com/google/trillian/storage/memory"
	"github.com/google/trillian/util/clock"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

func main() {
	address := flag.String("address", "127.0.0.1:0", "host:port of the gRPC server")
	flag.Parse()

	trees := memory.NewTreeStorage()
	registry := extension.Registry{
		AdminStorage:  memory.NewAdminStorage(trees),
		LogStorage:    &logStorage{LogStorage: memory.NewLogStorage(trees, nil), leaves: map[string]*trillian.LogLeaf{}},
		QuotaManager:  quota.Noop(),
		MetricFactory: monitoring.InertMetricFactory{},
	}
	trillianlog.InitMetrics(registry.MetricFactory)
	requests := interceptor.New(registry.AdminStorage, registry.QuotaManager, false, registry.MetricFactory)
	rpc := grpc.NewServer(grpc.ChainUnaryInterceptor(interceptor.ErrorWrapper, requests.UnaryInterceptor))
	logServer := server.NewTrillianLogRPCServer(registry, clock.System)
	adminServer := admin.New(registry, nil)
	trillian.RegisterTrillianLogServer(rpc, logServer)
	trillian.RegisterTrillianAdminServer(rpc, adminServer)

	tree, err := adminServer.CreateTree(context.Background(), &trillian.CreateTreeRequest{Tree: &trillian.Tree{
		TreeType: trillian.TreeType_LOG, TreeState: trillian.TreeState_ACTIVE, MaxRootDuration: durationpb.New(0),
	}})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := logServer.InitLog(context.Background(), &trillian.InitLogRequest{LogId: tree.TreeId}); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(tree.TreeId)
	log.Fatal(rpc.Serve(listener))
}

// logStorage gives Trillian's in-memory storage what it lacks: duplicates are told (by identity hash), and transactions
// come one at a time (a reader's snapshot clones a B-tree, which writes to it). A leaf is sequenced as it is queued: a
// pass in the background would number leaves that the queueing request still holds.
type logStorage struct {
	storage.LogStorage
	mu     sync.Mutex
	leaves map[string]*trillian.LogLeaf
}

func (s *logStorage) QueueLeaves(
	ctx context.Context, tree *trillian.Tree, leaves []*trillian.LogLeaf, now time.Time,
) ([]*trillian.QueuedLogLeaf, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	queued := make([]*trillian.QueuedLogLeaf, 0, len(leaves))
	for _, leaf := range leaves {
		key := fmt.Sprintf("%d/%x", tree.TreeId, leaf.LeafIdentityHash)
		if earlier, found := s.leaves[key]; found {
			refusal := status.New(codes.AlreadyExists, "leaf already exists").Proto()
			queued = append(queued, &trillian.QueuedLogLeaf{Leaf: earlier, Status: refusal})
			continue
		}
		if _, err := s.LogStorage.QueueLeaves(ctx, tree, []*trillian.LogLeaf{leaf}, now); err != nil {
			return nil, err
		}
		s.leaves[key] = leaf
		queued = append(queued, &trillian.QueuedLogLeaf{Leaf: leaf})
	}
	_, err := trillianlog.IntegrateBatch(ctx, tree, len(leaves), 0, 0, clock.System, s.LogStorage, quota.Noop())
	return queued, err
}

func (s *logStorage) ReadWriteTransaction(ctx context.Context, tree *trillian.Tree, f storage.LogTXFunc) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.LogStorage.ReadWriteTransaction(ctx, tree, f)
}

func (s *logStorage) SnapshotForTree(ctx context.Context, tree *trillian.Tree) (storage.ReadOnlyLogTreeTX, error) {
	s.mu.Lock()
	tx, err := s.LogStorage.SnapshotForTree(ctx, tree)
	if err != nil && !errors.Is(err, storage.ErrTreeNeedsInit) { // that one comes with an open transaction
		s.mu.Unlock()
		return nil, err
	}
	return &snapshot{ReadOnlyLogTreeTX: tx, unlock: sync.OnceFunc(s.mu.Unlock)}, err
}

// snapshot keeps the storage locked until it is committed or closed.
type snapshot struct {
	storage.ReadOnlyLogTreeTX
	unlock func()
}

func (s *snapshot) Commit(ctx context.Context) error {
	defer s.unlock()
	return s.ReadOnlyLogTreeTX.Commit(ctx)
}

func (s *snapshot) Close() error {
	defer s.unlock()
	return s.ReadOnlyLogTreeTX.Close()
}
