// issuer.js PORT CERTIFICATE KEY: an OpenID Connect issuer on https://localhost:PORT, whose tokens say what the asker wants.
//
// What this is: oidc-provider with one client (`conformance`, secret `conformance`) and the grant client_credentials. POST /token
// with `resource` gives a signed JWT; the parameter `alg` chooses ES256, RS256 or EdDSA, `claims` is a JSON object that replaces
// what the token says (sub, aud, groups, exp, iss, …; null leaves a claim out, but aud, which oidc-provider insists on). Discovery and JWKS are oidc-provider's own.
//
//   POST /control/rotate      new keys sign from here on, the old ones stay in the JWKS: tokens of both verify
//   POST /control/retire      the old keys go: tokens of theirs verify no more
//   POST /control/replace     both at once, as after a key was stolen
//
// Never: listens anywhere but on loopback; keeps a key anywhere but in memory. It is for tests: it gives a token to whoever asks.
import { createServer } from 'node:https';
import { readFileSync } from 'node:fs';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import Provider from 'oidc-provider';

const [port, certificate, key] = process.argv.slice(2);
const issuer = `https://localhost:${port}`;
const ALGORITHMS = { ES256: ['ec', { namedCurve: 'P-256' }], RS256: ['rsa', { modulusLength: 2048 }], EdDSA: ['ed25519', {}] };

/** One signing key for each algorithm, as JWKs with their private parts. */
function fresh() {
  return Object.entries(ALGORITHMS).map(([alg, [kind, options]]) => (
    { ...generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: randomUUID() }));
}

/** What the asker wants the token to say, over what it would say. */
function chosen(ctx, token, jwt) {
  const claims = JSON.parse(ctx.oidc.body.claims || '{}');
  for (const [name, value] of Object.entries(claims)) {
    if (value === null) delete jwt.payload[name];
    else jwt.payload[name] = value;
  }
}

/** A provider whose first key of each algorithm signs. */
function provider(keys) {
  const made = new Provider(issuer, {
    jwks: { keys },
    clients: [{ client_id: 'conformance', client_secret: 'conformance', grant_types: ['client_credentials'], redirect_uris: [], response_types: [] }],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, resource) => ({
          scope: '', audience: resource, accessTokenTTL: 600, accessTokenFormat: 'jwt', jwt: { sign: { alg: ctx.oidc.body.alg || 'ES256' } },
        }),
      },
    },
    formats: { customizers: { jwt: chosen } },
    enabledJWA: { idTokenSigningAlgValues: Object.keys(ALGORITHMS) },
  });
  made.on('server_error', (ctx, error) => console.error(error));
  return made.callback();
}

let now = fresh();
let before = [];
let answer = provider(now);

const control = {
  rotate: () => { before = now; now = fresh(); },
  retire: () => { before = []; },
  replace: () => { before = []; now = fresh(); },
};

createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (request, response) => {
  const act = request.method === 'POST' && control[request.url.replace('/control/', '')];
  if (!act) {
    answer(request, response);
    return;
  }
  act();
  answer = provider([...now, ...before]);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ signing: now.map((k) => k.kid), retained: before.map((k) => k.kid) }));
}).listen(Number(port), '127.0.0.1', () => console.log(`issues at ${issuer}`));
