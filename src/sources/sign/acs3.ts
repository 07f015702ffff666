/** ACS3-HMAC-SHA256, the signature of Alibaba Cloud's OpenAPI, version 3 (help.aliyun.com/document_detail/2593177.html; vendors.md §7.3). */
import { hmacSha256, sha256Hex } from './digest.js';

export interface Acs3Request {
  method: 'GET' | 'POST';
  /** `/` for APIs of the RPC kind. */
  path: string;
  query: Readonly<Record<string, string>>;
  /** Names in lower case. Signed are host, content-type and x-acs-*, among them x-acs-content-sha256. */
  headers: Readonly<Record<string, string>>;
  body: string;
}

export interface Acs3Keys {
  accessKeyId: string;
  accessKeySecret: string;
}

/** One call of an API of the RPC kind. */
export interface Acs3Call {
  method: 'GET' | 'POST';
  /** As it is sent: with the port, if that is not the scheme's own. */
  host: string;
  action: string;
  version: string;
  query: Readonly<Record<string, string>>;
  /** Epoch milliseconds. */
  now: number;
  /** Unique for each request. */
  nonce: string;
}

const ALGORITHM = 'ACS3-HMAC-SHA256';

/** A query in the one spelling that is both sent and signed: names sorted by code unit, RFC 3986 encoding. */
export const acs3Query = (query: Readonly<Record<string, string>>): string =>
  Object.keys(query)
    .sort()
    .map((name) => `${encode(name)}=${encode(query[name] ?? '')}`)
    .join('&');

/** What is signed of a request. */
export function acs3CanonicalRequest(request: Acs3Request): string {
  const names = signedNames(request);
  return [
    request.method,
    request.path,
    acs3Query(request.query),
    ...names.map((name) => `${name}:${(request.headers[name] ?? '').trim()}`),
    '',
    names.join(';'),
    sha256Hex(request.body),
  ].join('\n');
}

/** The Authorization header of a request. */
export function acs3Authorization(request: Acs3Request, keys: Acs3Keys): string {
  const signature = hmacSha256(keys.accessKeySecret, `${ALGORITHM}\n${sha256Hex(acs3CanonicalRequest(request))}`).toString('hex');
  return `${ALGORITHM} Credential=${keys.accessKeyId},SignedHeaders=${signedNames(request).join(';')},Signature=${signature}`;
}

/** Every header of a call with an empty body, signature included. */
export function acs3Headers(call: Acs3Call, keys: Acs3Keys): Record<string, string> {
  const headers = {
    host: call.host,
    'x-acs-action': call.action,
    'x-acs-content-sha256': sha256Hex(''),
    'x-acs-date': `${new Date(call.now).toISOString().slice(0, 19)}Z`,
    'x-acs-signature-nonce': call.nonce,
    'x-acs-version': call.version,
  };
  const authorization = acs3Authorization({ method: call.method, path: '/', query: call.query, headers, body: '' }, keys);
  return { ...headers, accept: 'application/json', authorization };
}

const signedNames = (request: Acs3Request): string[] =>
  Object.keys(request.headers)
    .filter((name) => name === 'host' || name === 'content-type' || name.startsWith('x-acs-'))
    .sort();

/** encodeURIComponent leaves more alone than RFC 3986 allows. */
const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
