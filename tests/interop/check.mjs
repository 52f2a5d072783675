// Sign or verify a credential with Digital Bazaar's libraries; JSON in, JSON out.
//
//   node check.mjs verify   < {"documents": [...]}           -> [{"verified", "error"}, ...]
//   node check.mjs sign     < {"documents": [...], "secret", "public", "created"}
//
// Nothing is looked up on a network: a did:key names its own key.
import * as Ed25519Multikey from '@digitalbazaar/ed25519-multikey';
import {DataIntegrityProof} from '@digitalbazaar/data-integrity';
import {createSignCryptosuite, createVerifyCryptosuite}
  from '@digitalbazaar/eddsa-jcs-2022-cryptosuite';
import jsigs from 'jsonld-signatures';

const {purposes: {AssertionProofPurpose}} = jsigs;
const MULTIKEY = 'https://w3id.org/security/multikey/v1';
const CID = 'https://www.w3.org/ns/cid/v1';

function resolve(url) {
  const [did, fragment] = url.split('#');
  if(!did.startsWith('did:key:')) {
    throw new Error(`not looked up: ${url}`);
  }
  const publicKeyMultibase = did.slice('did:key:'.length);
  const id = `${did}#${publicKeyMultibase}`;
  const method = {'@context': MULTIKEY, type: 'Multikey', id, controller: did, publicKeyMultibase};
  return fragment ? method : {
    '@context': [CID, MULTIKEY], id: did, verificationMethod: [method], assertionMethod: [id]
  };
}

const documentLoader = async url => ({contextUrl: null, documentUrl: url, document: resolve(url)});

async function verify(document) {
  const suite = new DataIntegrityProof({cryptosuite: createVerifyCryptosuite()});
  // given, so that no JSON-LD processing of it is asked for
  const controller = resolve(document.proof.verificationMethod.split('#')[0]);
  const found = await jsigs.verify(
    document, {suite, purpose: new AssertionProofPurpose({controller}), documentLoader});
  const error = found.error && (found.error.errors ?? [found.error]).map(String).join('; ');
  return {verified: found.verified, error: error ?? null};
}

async function sign(document, {secret, public: publicKeyMultibase, created}) {
  const controller = `did:key:${publicKeyMultibase}`;
  const key = await Ed25519Multikey.from({
    '@context': MULTIKEY, type: 'Multikey', id: `${controller}#${publicKeyMultibase}`, controller,
    publicKeyMultibase, secretKeyMultibase: secret
  });
  const suite = new DataIntegrityProof({
    signer: key.signer(), date: created, cryptosuite: createSignCryptosuite()
  });
  return jsigs.sign(document, {suite, purpose: new AssertionProofPurpose(), documentLoader});
}

let text = '';
for await (const chunk of process.stdin) {
  text += chunk;
}
const asked = JSON.parse(text);
const work = process.argv[2] === 'sign' ? one => sign(one, asked) : verify;
const found = [];
for(const document of asked.documents) {
  found.push(await work(document));
}
console.log(JSON.stringify(found));
