/** TC3-HMAC-SHA256, the signature of Tencent Cloud API 3.0 (trtc.io/document/34264; vendors.md §1.1, vectors in §1.2). */
import { hmacSha256, sha256Hex } from './digest.js';

export interface Tc3Request {
  method: 'GET' | 'POST';
  /** As it is sent: with the port, if that is not the scheme's own. */
  host: string;
  /** Without the question mark, encoded as it is sent; POST has none. */
  query?: string;
  /** Byte for byte as it is sent. */
  contentType: string;
  /** GET has none. */
  body: string | Buffer;
  /** First label of the vendor's host name, such as `trtc`. */
  service: string;
  /** X-TC-Timestamp: epoch seconds, at most five minutes off the vendor's clock. */
  timestamp: number;
}

export interface Tc3Keys {
  secretId: string;
  secretKey: string;
}

const ALGORITHM = 'TC3-HMAC-SHA256';
/** The least that may be signed. X-TC-* headers are left out, as the vendor's own SDK does. */
const SIGNED_HEADERS = 'content-type;host';

/** What is signed of a request. Header values are lower-cased and trimmed. */
export function tc3CanonicalRequest(request: Tc3Request): string {
  return [
    request.method,
    '/',
    request.query ?? '',
    `content-type:${request.contentType.trim().toLowerCase()}`,
    `host:${request.host.trim().toLowerCase()}`,
    '',
    SIGNED_HEADERS,
    sha256Hex(request.body),
  ].join('\n');
}

/** The Authorization header of a request. */
export function tc3Authorization(request: Tc3Request, keys: Tc3Keys): string {
  const date = new Date(request.timestamp * 1000).toISOString().slice(0, 10);
  const scope = `${date}/${request.service}/tc3_request`;
  const toSign = [ALGORITHM, request.timestamp, scope, sha256Hex(tc3CanonicalRequest(request))].join('\n');
  const dateKey = hmacSha256(`TC3${keys.secretKey}`, date);
  const signingKey = hmacSha256(hmacSha256(dateKey, request.service), 'tc3_request');
  const signature = hmacSha256(signingKey, toSign).toString('hex');
  return `${ALGORITHM} Credential=${keys.secretId}/${scope}, SignedHeaders=${SIGNED_HEADERS}, Signature=${signature}`;
}
