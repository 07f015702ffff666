/** Contract §3: secrets are compared in constant time, over digests of one length, in one place. */
const compared = (name) => ({ file: 'test/unit/secrets-compared.test.ts', name });
const DIGEST = 'src/sources/sign/digest.ts';

export const SECRETS = [
  {
    name: 'digests are compared byte by byte',
    guarantee: 'secrets are compared in constant time',
    file: DIGEST,
    find: 'timingSafeEqual(a, b)',
    replace: 'a.equals(b)',
    test: compared('the path secret of a callback'),
  },
  {
    name: 'signatures are compared as texts',
    guarantee: 'secrets are compared in constant time',
    file: DIGEST,
    find: 'equalDigests(sha256(a), sha256(b))',
    replace: 'a === b',
    test: compared('the Sign of a whiteboard callback'),
  },
  {
    name: 'signatures are compared without being digested, where their lengths agree',
    guarantee: 'secrets are compared over digests of one length',
    file: DIGEST,
    find: 'equalDigests(sha256(a), sha256(b))',
    replace: 'a.length === b.length && equalDigests(Buffer.from(a), Buffer.from(b))',
    test: compared('the Sign of a whiteboard callback'),
  },
  {
    name: 'the path secret is compared by its hexadecimal digest',
    guarantee: 'secrets are compared in constant time',
    file: 'src/ingest/access.ts',
    find: 'equalDigests(wanted, given)',
    replace: "wanted.toString('hex') === given.toString('hex')",
    test: compared('the path secret of a callback'),
  },
  {
    name: 'the API’s token is compared by its hexadecimal digest',
    guarantee: 'secrets are compared in constant time',
    file: 'src/api/access.ts',
    find: 'equalDigests(given, expected)',
    replace: "given.toString('hex') === expected.toString('hex')",
    test: compared('the token of the query API'),
  },
  {
    name: 'a signature is compared with ===',
    guarantee: 'secrets are compared in one place',
    file: 'src/sources/tiw.ts',
    find: 'equalSecrets(good, sign)',
    replace: 'good === sign',
    test: { file: 'test/unit/architecture.test.ts', name: 'secrets are compared in one place, in constant time' },
  },
  {
    name: 'a bad signature is let in',
    guarantee: 'a callback of an app with a key carries a good signature',
    file: 'src/ingest/access.ts',
    find: "if (signed === false) return refuse('signature');",
    replace: '',
    test: { file: 'test/unit/ingest-server.test.ts', name: '403 for a bad signature' },
  },
];
