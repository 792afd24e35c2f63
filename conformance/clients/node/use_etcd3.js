// Ordinary use of Node's etcd3 1.1 against a server: ENDPOINT [CA CERT KEY]; one line per check, exit code 1 when one fails.
//
// With the three files (PEM) it speaks mutual TLS.

const assert = require('assert');
const fs = require('fs');
const { Etcd3, EtcdLeaseInvalidError } = require(process.env.NODE_ETCD3 || 'etcd3');

const [endpoint, ca, cert, key] = process.argv.slice(2);
const credentials = ca && { rootCertificate: fs.readFileSync(ca), certChain: fs.readFileSync(cert), privateKey: fs.readFileSync(key) };
const client = new Etcd3({ hosts: endpoint, credentials });

const checks = {
  async putGetDelete() {
    assert.strictEqual(await client.get('n/a'), null);
    await client.put('n/a').value('1');
    await client.put('n/a').value('2');
    assert.strictEqual(await client.get('n/a').string(), '2');
    assert.strictEqual((await client.get('n/a').exec()).kvs[0].version, '2');
    assert.strictEqual((await client.delete().key('n/a')).deleted, '1');
    assert.strictEqual(await client.get('n/a'), null);
  },
  async ranges() {
    for (const name of ['b', 'a', 'c']) await client.put(`nr/${name}`).value(name);
    assert.deepStrictEqual(await client.getAll().prefix('nr/').keys(), ['nr/a', 'nr/b', 'nr/c']);
    assert.strictEqual(await client.getAll().prefix('nr/').count(), 3);
    assert.deepStrictEqual(await client.getAll().prefix('nr/').sort('Key', 'Descend').limit(2).keys(), ['nr/c', 'nr/b']);
  },
  async transactions() {
    await client.put('nt/a').value('1');
    const won = await client.if('nt/a', 'Value', '==', '1').then(client.put('nt/b').value('yes')).else(client.put('nt/b').value('no')).commit();
    assert.strictEqual(won.succeeded, true);
    assert.strictEqual(await client.get('nt/b').string(), 'yes');
  },
  async watches() {
    const watcher = await client.watch().prefix('nw/').create();
    const seen = [];
    const all = new Promise((resolve) => {
      watcher.on('put', (kv) => seen.push(`put ${kv.value}`));
      watcher.on('delete', (kv) => { seen.push(`delete ${kv.key}`); resolve(); });
    });
    await client.put('nw/a').value('1');
    await client.put('nw/a').value('2');
    await client.delete().key('nw/a');
    await all;
    assert.deepStrictEqual(seen, ['put 1', 'put 2', 'delete nw/a']);
    await watcher.cancel();
  },
  async leases() {
    const lease = client.lease(60);
    await lease.put('nl/a').value('1');
    assert.strictEqual(await client.get('nl/a').string(), '1');
    await lease.keepaliveOnce();
    await lease.revoke();
    assert.strictEqual(await client.get('nl/a'), null);
    await assert.rejects(lease.put('nl/b').value('1'), EtcdLeaseInvalidError);
  },
  async locks() {
    const held = await client.lock('nlock').ttl(20).acquire();
    await assert.rejects(client.lock('nlock').ttl(20).acquire());
    await held.release();
    await (await client.lock('nlock').ttl(20).acquire()).release();
  },
};

async function limited(work) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('no answer in 20 s')), 20000); });
  try {
    await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

(async () => {
  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    const began = Date.now();
    try {
      await limited(check);
      console.log(`ok node-etcd3 ${name} ${((Date.now() - began) / 1000).toFixed(2)}s`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL node-etcd3 ${name}: ${String(error.message).split('\n').slice(0, 4).join(' ').slice(0, 300)}`);
    }
  }
  client.close();
  process.exit(failed ? 1 : 0);
})();
