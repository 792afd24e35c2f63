// etcd's own Go client over mutual TLS: MODE HOST:PORT CA CERT KEY PREFIX.
//
// use   puts, reads, watches, leases and locks below the prefix: one line a check, "pass WHAT" or "FAIL WHAT: why".
// hold  keeps a watch and the keep-alives of a lease open, each a plain stream below the client library, which would
//       hide an end by connecting anew. Says "standing" when both have answered, then for each that ends its name, the time in
//       Unix milliseconds, and the status. Goes when both have ended.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.uber.org/zap"
)

const (
	patience  = 10 * time.Second
	longest   = 5 * time.Minute
	events    = 50
	keepAlive = 50 * time.Millisecond
)

func main() {
	if len(os.Args) != 7 {
		fail("MODE HOST:PORT CA CERT KEY PREFIX")
	}
	client, prefix := connected(os.Args[2:6]), os.Args[6]
	defer client.Close()
	switch os.Args[1] {
	case "use":
		use(client, prefix)
	case "hold":
		hold(client, prefix)
	default:
		fail("MODE is use or hold")
	}
}

func connected(words []string) *clientv3.Client {
	pair, err := tls.LoadX509KeyPair(words[2], words[3])
	if err != nil {
		fail(err)
	}
	ca, err := os.ReadFile(words[1])
	if err != nil {
		fail(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   []string{"https://" + words[0]},
		TLS:         &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}},
		DialTimeout: patience,
		Logger:      zap.NewNop(),
	})
	if err != nil {
		fail(err)
	}
	return client
}

func use(client *clientv3.Client, prefix string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	watched := client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	first := <-watched
	check("a watch is made", first.Err(), first.Created)
	var err error
	for n := 0; n < events && err == nil; n++ {
		_, err = client.Put(ctx, fmt.Sprintf("%s%03d", prefix, n), fmt.Sprint(n))
	}
	check("puts", err, true)
	read, err := client.Get(ctx, prefix, clientv3.WithPrefix())
	check("a range has them all", err, err == nil && len(read.Kvs) == events && string(read.Kvs[7].Value) == "7")
	seen := 0
	for seen < events {
		told, open := <-watched
		if !open || told.Err() != nil {
			err = told.Err()
			break
		}
		for _, event := range told.Events {
			if string(event.Kv.Value) != fmt.Sprint(seen) {
				err = fmt.Errorf("event %d is of %s", seen, event.Kv.Key)
			}
			seen++
		}
	}
	check("the watch tells of each, in order", err, seen == events)
	done, err := client.Txn(ctx).If(clientv3.Compare(clientv3.Value(prefix+"007"), "=", "7")).
		Then(clientv3.OpDelete(prefix + "007")).Else(clientv3.OpGet(prefix + "007")).Commit()
	check("a transaction", err, err == nil && done.Succeeded)
	session, err := concurrency.NewSession(client, concurrency.WithTTL(5), concurrency.WithContext(ctx))
	if err == nil {
		mutex := concurrency.NewMutex(session, prefix+"lock")
		if err = mutex.Lock(ctx); err == nil {
			err = mutex.Unlock(ctx)
		}
		session.Close()
	}
	check("a session's lease and lock", err, true)
}

func check(what string, err error, good bool) {
	if err != nil || !good {
		fmt.Printf("FAIL %s: %v\n", what, err)
		return
	}
	fmt.Println("pass", what)
}

type ended struct {
	name string
	at   time.Time
	err  error
}

func hold(client *clientv3.Client, prefix string) {
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	// Whom no connection lets in the library would keep waiting for as long as it may.
	brief, done := context.WithTimeout(ctx, patience/4)
	defer done()
	lease, err := client.Grant(brief, 60)
	if err != nil {
		fail(err)
	}
	watch, err := pb.NewWatchClient(client.ActiveConnection()).Watch(ctx)
	if err != nil {
		fail(err)
	}
	request := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{
		Key: []byte(prefix), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(prefix))}}}
	if err := watch.Send(request); err != nil {
		fail(err)
	}
	if _, err := watch.Recv(); err != nil {
		fail(err)
	}
	kept, err := pb.NewLeaseClient(client.ActiveConnection()).LeaseKeepAlive(ctx)
	if err != nil {
		fail(err)
	}
	alive := &pb.LeaseKeepAliveRequest{ID: int64(lease.ID)}
	if err := kept.Send(alive); err != nil {
		fail(err)
	}
	if answer, err := kept.Recv(); err != nil || answer.TTL <= 0 {
		fail(fmt.Sprint("no renewal: ", answer, err))
	}
	fmt.Println("standing")
	ends := make(chan ended, 2)
	go func() {
		var err error
		for err == nil {
			_, err = watch.Recv()
		}
		ends <- ended{"watch", time.Now(), err}
	}()
	go func() {
		var err error
		for err == nil {
			// An error of Send alone says nothing: the cause is what Recv returns.
			_ = kept.Send(alive)
			if _, err = kept.Recv(); err == nil {
				time.Sleep(keepAlive)
			}
		}
		ends <- ended{"keep-alive", time.Now(), err}
	}()
	for range 2 {
		end := <-ends
		fmt.Printf("%s %d %v\n", end.name, end.at.UnixMilli(), end.err)
	}
}

func fail(what any) {
	fmt.Fprintln(os.Stderr, what)
	os.Exit(1)
}
