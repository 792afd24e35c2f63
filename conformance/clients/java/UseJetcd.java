// Ordinary use of jetcd 0.8 (Java) against a server: ENDPOINT [CA CERT KEY].
//
// Key-value, ranges, transactions, watches, leases, locks, elections, cluster and maintenance calls, each with what a real etcd
// answers; one line per check, exit code 1 when one fails. With the three files (PEM, key in PKCS #8) it speaks mutual TLS.

import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.ClientBuilder;
import io.etcd.jetcd.Election;
import io.etcd.jetcd.KV;
import io.etcd.jetcd.Lease;
import io.etcd.jetcd.Watch;
import io.etcd.jetcd.election.CampaignResponse;
import io.etcd.jetcd.kv.GetResponse;
import io.etcd.jetcd.kv.TxnResponse;
import io.etcd.jetcd.lease.LeaseKeepAliveResponse;
import io.etcd.jetcd.op.Cmp;
import io.etcd.jetcd.op.CmpTarget;
import io.etcd.jetcd.op.Op;
import io.etcd.jetcd.options.CompactOption;
import io.etcd.jetcd.options.DeleteOption;
import io.etcd.jetcd.options.GetOption;
import io.etcd.jetcd.options.LeaseOption;
import io.etcd.jetcd.options.PutOption;
import io.etcd.jetcd.options.WatchOption;
import io.etcd.jetcd.support.CloseableClient;
import io.etcd.jetcd.support.Observers;
import io.etcd.jetcd.watch.WatchEvent;
import io.etcd.jetcd.watch.WatchResponse;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

public final class UseJetcd {
    private static int failed = 0;

    private interface Check {
        void run(Client client) throws Exception;
    }

    private static ByteSequence b(String text) {
        return ByteSequence.from(text, StandardCharsets.UTF_8);
    }

    private static <T> T get(CompletableFuture<T> future) throws Exception {
        return future.get(15, TimeUnit.SECONDS);
    }

    private static void same(Object found, Object expected) {
        if (!Objects.equals(found, expected)) {
            throw new AssertionError("found " + found + ", expected " + expected);
        }
    }

    private static String refused(CompletableFuture<?> future) throws Exception {
        try {
            get(future);
        } catch (ExecutionException told) {
            Throwable cause = told.getCause();
            return cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage();
        }
        throw new AssertionError("nothing was refused");
    }

    private static void check(Client client, String name, Check check) {
        long began = System.nanoTime();
        try {
            check.run(client);
            System.out.printf("ok jetcd %s %.2fs%n", name, (System.nanoTime() - began) / 1e9);
        } catch (Throwable error) {
            failed++;
            String where = "";
            for (StackTraceElement frame : error.getStackTrace()) {
                if (frame.getClassName().startsWith("UseJetcd") && !frame.getMethodName().matches("same|get|refused")) {
                    where = " (line " + frame.getLineNumber() + ")";
                    break;
                }
            }
            System.out.println(("FAIL jetcd " + name + ": " + error + where).replace('\n', ' '));
        }
    }

    private static List<String> values(GetResponse answer) {
        List<String> found = new ArrayList<>();
        answer.getKvs().forEach(kv -> found.add(kv.getKey() + "=" + kv.getValue()));
        return found;
    }

    public static void main(String[] args) throws Exception {
        ClientBuilder builder = Client.builder().endpoints(args[0]);
        if (args.length == 4) {
            builder.sslContext(context -> context.trustManager(new File(args[1])).keyManager(new File(args[2]), new File(args[3])));
        }
        try (Client client = builder.build()) {
            check(client, "put_get_delete", UseJetcd::putGetDelete);
            check(client, "ranges", UseJetcd::ranges);
            check(client, "transactions", UseJetcd::transactions);
            check(client, "compaction", UseJetcd::compaction);
            check(client, "watches", UseJetcd::watches);
            check(client, "watch_history_and_compacted", UseJetcd::watchHistory);
            check(client, "leases", UseJetcd::leases);
            check(client, "lease_runs_out", UseJetcd::leaseRunsOut);
            check(client, "locks", UseJetcd::locks);
            check(client, "elections", UseJetcd::elections);
            check(client, "cluster_and_maintenance", UseJetcd::maintenance);
            check(client, "errors", UseJetcd::errors);
        }
        System.out.flush();
        System.exit(failed == 0 ? 0 : 1);
    }

    private static void putGetDelete(Client client) throws Exception {
        KV kv = client.getKVClient();
        same(get(kv.get(b("j/nothing"))).getCount(), 0L);
        long first = get(kv.put(b("j/a"), b("1"))).getHeader().getRevision();
        same(get(kv.put(b("j/a"), b("2"), PutOption.builder().withPrevKV().build())).getPrevKv().getValue(), b("1"));
        GetResponse answer = get(kv.get(b("j/a")));
        same(values(answer), List.of("j/a=2"));
        same(answer.getKvs().get(0).getCreateRevision(), first);
        same(answer.getKvs().get(0).getVersion(), 2L);
        same(values(get(kv.get(b("j/a"), GetOption.builder().withRevision(first).build()))), List.of("j/a=1"));
        same(get(kv.delete(b("j/a"), DeleteOption.builder().withPrevKV(true).build())).getPrevKvs().get(0).getValue(), b("2"));
        same(get(kv.delete(b("j/a"))).getDeleted(), 0L);
    }

    private static void ranges(Client client) throws Exception {
        KV kv = client.getKVClient();
        for (String pair : List.of("a=3", "b=1", "c=2")) {
            get(kv.put(b("jr/" + pair.charAt(0)), b(pair.substring(2))));
        }
        same(values(get(kv.get(b("jr/"), GetOption.builder().isPrefix(true).build()))), List.of("jr/a=3", "jr/b=1", "jr/c=2"));
        GetOption sorted = GetOption.builder().isPrefix(true).withSortField(GetOption.SortTarget.VALUE)
            .withSortOrder(GetOption.SortOrder.DESCEND).withLimit(2).build();
        GetResponse answer = get(kv.get(b("jr/"), sorted));
        same(values(answer), List.of("jr/a=3", "jr/c=2"));
        same(answer.isMore(), true);
        same(get(kv.get(b("jr/"), GetOption.builder().isPrefix(true).withCountOnly(true).build())).getCount(), 3L);
        same(values(get(kv.get(b("jr/"), GetOption.builder().isPrefix(true).withKeysOnly(true).build()))), List.of("jr/a=", "jr/b=", "jr/c="));
        same(values(get(kv.get(b("jr/a"), GetOption.builder().withRange(b("jr/c")).withSerializable(true).build()))), List.of("jr/a=3", "jr/b=1"));
        same(get(kv.delete(b("jr/"), DeleteOption.builder().isPrefix(true).build())).getDeleted(), 3L);
    }

    private static void transactions(Client client) throws Exception {
        KV kv = client.getKVClient();
        get(kv.put(b("jt/a"), b("1")));
        TxnResponse answer = get(kv.txn().If(new Cmp(b("jt/a"), Cmp.Op.EQUAL, CmpTarget.value(b("1"))), new Cmp(b("jt/a"), Cmp.Op.GREATER, CmpTarget.version(0)))
            .Then(Op.put(b("jt/b"), b("yes"), PutOption.DEFAULT), Op.get(b("jt/a"), GetOption.DEFAULT))
            .Else(Op.put(b("jt/b"), b("no"), PutOption.DEFAULT)).commit());
        same(answer.isSucceeded(), true);
        same(values(answer.getGetResponses().get(0)), List.of("jt/a=1"));
        answer = get(kv.txn().If(new Cmp(b("jt/a"), Cmp.Op.LESS, CmpTarget.modRevision(1)))
            .Then(Op.delete(b("jt/a"), DeleteOption.DEFAULT))
            .Else(Op.txn(new Cmp[] {new Cmp(b("jt/b"), Cmp.Op.NOT_EQUAL, CmpTarget.value(b("no")))},
                new Op[] {Op.put(b("jt/c"), b("nested"), PutOption.DEFAULT)}, new Op[] {})).commit());
        same(answer.isSucceeded(), false);
        same(answer.getTxnResponses().get(0).isSucceeded(), true);
        same(values(get(kv.get(b("jt/c")))), List.of("jt/c=nested"));
    }

    private static void compaction(Client client) throws Exception {
        KV kv = client.getKVClient();
        get(kv.put(b("jc/a"), b("1")));
        long at = get(kv.put(b("jc/a"), b("2"))).getHeader().getRevision();
        get(kv.compact(at, CompactOption.builder().withCompactPhysical(true).build()));
        same(values(get(kv.get(b("jc/a"), GetOption.builder().withRevision(at).build()))), List.of("jc/a=2"));
        same(refused(kv.get(b("jc/a"), GetOption.builder().withRevision(at - 1).build())), "OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted");
        same(refused(kv.compact(at)), "OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted");
    }

    private static WatchEvent next(BlockingQueue<WatchEvent> events) throws Exception {
        WatchEvent event = events.poll(10, TimeUnit.SECONDS);
        if (event == null) {
            throw new AssertionError("no event came");
        }
        return event;
    }

    private static void watches(Client client) throws Exception {
        KV kv = client.getKVClient();
        BlockingQueue<WatchEvent> events = new LinkedBlockingQueue<>();
        WatchOption option = WatchOption.builder().isPrefix(true).withPrevKV(true).withCreateNotify(true).build();
        CompletableFuture<Void> created = new CompletableFuture<>();
        try (Watch.Watcher watcher = client.getWatchClient().watch(b("jw/"), option, (WatchResponse r) -> {
            created.complete(null);
            events.addAll(r.getEvents());
        })) {
            get(created);
            get(kv.put(b("jw/a"), b("1")));
            get(kv.put(b("jw/a"), b("2")));
            get(kv.delete(b("jw/a")));
            WatchEvent first = next(events), second = next(events), third = next(events);
            same(first.getEventType() + " " + first.getKeyValue().getValue(), "PUT 1");
            same(second.getEventType() + " " + second.getPrevKV().getValue(), "PUT 1");
            same(third.getEventType() + " " + third.getPrevKV().getValue(), "DELETE 2");
        }
    }

    private static void watchHistory(Client client) throws Exception {
        KV kv = client.getKVClient();
        long first = get(kv.put(b("jh/a"), b("1"))).getHeader().getRevision();
        get(kv.put(b("jh/a"), b("2")));
        get(kv.delete(b("jh/a")));
        BlockingQueue<WatchEvent> events = new LinkedBlockingQueue<>();
        WatchOption deletes = WatchOption.builder().withRevision(first).withNoPut(true).build();
        try (Watch.Watcher watcher = client.getWatchClient().watch(b("jh/a"), deletes, r -> events.addAll(r.getEvents()))) {
            same(next(events).getEventType(), WatchEvent.EventType.DELETE);
        }
        get(kv.compact(first + 1));
        CompletableFuture<Throwable> told = new CompletableFuture<>();
        WatchOption old = WatchOption.builder().withRevision(first - 1).build();
        try (Watch.Watcher watcher = client.getWatchClient().watch(b("jh/a"), old, Watch.listener(r -> { }, told::complete))) {
            same(get(told).getMessage().contains("required revision has been compacted"), true);
        }
    }

    private static void leases(Client client) throws Exception {
        Lease lease = client.getLeaseClient();
        long id = get(lease.grant(60)).getID();
        get(client.getKVClient().put(b("jl/a"), b("1"), PutOption.builder().withLeaseId(id).build()));
        var info = get(lease.timeToLive(id, LeaseOption.builder().withAttachedKeys().build()));
        same(info.getGrantedTTL() + " " + info.getKeys().get(0), "60 jl/a");
        same(get(lease.keepAliveOnce(id)).getTTL(), 60L);
        CompletableFuture<LeaseKeepAliveResponse> kept = new CompletableFuture<>();
        try (CloseableClient keeping = lease.keepAlive(id, Observers.observer(kept::complete))) {
            same(get(kept).getID(), id);
        }
        get(lease.revoke(id));
        same(get(client.getKVClient().get(b("jl/a"))).getCount(), 0L);
        same(get(lease.timeToLive(id, LeaseOption.DEFAULT)).getTTL(), -1L);
        same(refused(lease.revoke(id)), "NOT_FOUND: etcdserver: requested lease not found");
    }

    private static void leaseRunsOut(Client client) throws Exception {
        long id = get(client.getLeaseClient().grant(1)).getID();
        long at = get(client.getKVClient().put(b("jx/a"), b("1"), PutOption.builder().withLeaseId(id).build())).getHeader().getRevision();
        BlockingQueue<WatchEvent> events = new LinkedBlockingQueue<>();
        try (Watch.Watcher watcher = client.getWatchClient().watch(b("jx/a"), WatchOption.builder().withRevision(at + 1).build(), r -> events.addAll(r.getEvents()))) {
            same(next(events).getEventType(), WatchEvent.EventType.DELETE);
        }
    }

    private static void locks(Client client) throws Exception {
        long mine = get(client.getLeaseClient().grant(30)).getID();
        long other = get(client.getLeaseClient().grant(30)).getID();
        ByteSequence held = get(client.getLockClient().lock(b("jlock"), mine)).getKey();
        same(held.toString(), "jlock/" + Long.toHexString(mine));
        var waiting = client.getLockClient().lock(b("jlock"), other);
        same(waiting.isDone(), false);
        get(client.getLockClient().unlock(held));
        ByteSequence next = get(waiting).getKey();
        get(client.getLockClient().unlock(next));
        same(get(client.getKVClient().get(b("jlock/"), GetOption.builder().isPrefix(true).build())).getCount(), 0L);
    }

    private static void elections(Client client) throws Exception {
        Election election = client.getElectionClient();
        long mine = get(client.getLeaseClient().grant(30)).getID();
        long other = get(client.getLeaseClient().grant(30)).getID();
        CampaignResponse won = get(election.campaign(b("je"), mine, b("alice")));
        same(get(election.leader(b("je"))).getKv().getValue(), b("alice"));
        var running = election.campaign(b("je"), other, b("bob"));
        get(election.proclaim(won.getLeader(), b("alice again")));
        same(get(election.leader(b("je"))).getKv().getValue(), b("alice again"));
        get(election.resign(won.getLeader()));
        CampaignResponse second = get(running);
        same(get(election.leader(b("je"))).getKv().getValue(), b("bob"));
        get(election.resign(second.getLeader()));
        same(refused(election.leader(b("je"))).startsWith("NoLeaderException"), true);
    }

    private static void maintenance(Client client) throws Exception {
        var members = get(client.getClusterClient().listMember()).getMembers();
        same(members.size(), 1);
        String endpoint = members.get(0).getClientURIs().get(0).toString();
        var status = get(client.getMaintenanceClient().statusMember(endpoint));
        same(status.getVersion().startsWith("3.7."), true);
        same(status.getLeader(), members.get(0).getId());
        same(get(client.getMaintenanceClient().listAlarms()).getAlarms().size(), 0);
        get(client.getMaintenanceClient().defragmentMember(endpoint));
        same(get(client.getMaintenanceClient().hashKV(endpoint, 0)).getHash() != 0, true);
    }

    private static void errors(Client client) throws Exception {
        KV kv = client.getKVClient();
        same(refused(kv.put(b(""), b("1"))).contains("etcdserver: key is not provided"), true);
        same(refused(kv.put(b("jer/a"), b("1"), PutOption.builder().withLeaseId(999).build())), "NOT_FOUND: etcdserver: requested lease not found");
        same(refused(kv.compact(1_000_000_000L)), "OUT_OF_RANGE: etcdserver: mvcc: required revision is a future revision");
        same(refused(kv.put(b("jer/big"), b("x".repeat(1_600_000)))).contains("etcdserver: request is too large"), true);
        same(refused(kv.txn().Then(Op.put(b("jer/d"), b("1"), PutOption.DEFAULT), Op.put(b("jer/d"), b("2"), PutOption.DEFAULT)).commit())
            .contains("etcdserver: duplicate key given in txn request"), true);
    }
}
