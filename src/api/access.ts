import { CallstreamError } from '../domain/errors.js';
import { equalDigests, sha256 } from '../sources/sign/digest.js';
import { isLoopback, namesThisMachine } from '../telemetry/loopback.js';
import { Problem } from './problem.js';

/** Decides who may ask: throws the Problem to answer with, or returns. */
export type Gate = (headers: { host?: string | undefined; authorization?: string | undefined }) => void;

/**
 * With a token hash: the bearer token whose SHA-256 it is, compared in constant time. Without one: only requests that name this machine in
 * their Host header, so that a page of another site cannot read calls through a DNS name that it points at 127.0.0.1.
 * @param tokenHash SHA-256 of the token, 64 hexadecimal digits
 * @throws CallstreamError API_TOKEN_REQUIRED when the address is reachable from elsewhere and there is no token; API_TOKEN_INVALID
 */
export function createGate(host: string, tokenHash: string | undefined): Gate {
  if (tokenHash === undefined) {
    if (!isLoopback(host)) {
      throw new CallstreamError(
        'API_TOKEN_REQUIRED',
        `api.host ${host} can be reached from other machines, so api.tokenHash is required: the SHA-256 of an access token (printf %s TOKEN | sha256sum)`,
      );
    }
    return ({ host: header }) => {
      if (!namesThisMachine(header))
        throw new Problem(
          421,
          'HOST_NOT_LOCAL',
          'Host not served',
          'Without api.tokenHash this server answers only to 127.0.0.1 and localhost.',
        );
    };
  }
  if (!/^[0-9a-f]{64}$/i.test(tokenHash))
    throw new CallstreamError('API_TOKEN_INVALID', 'api.tokenHash must be 64 hexadecimal digits: the SHA-256 of the token');
  const expected = Buffer.from(tokenHash, 'hex');
  return ({ authorization = '' }) => {
    const token = /^Bearer +([^ ]+) *$/i.exec(authorization)?.[1] ?? '';
    const given = sha256(token);
    if (equalDigests(given, expected)) return;
    throw new Problem(401, 'TOKEN_REQUIRED', 'Access token required', 'Send the access token as "Authorization: Bearer TOKEN".', {
      headers: { 'www-authenticate': 'Bearer realm="callstream"' },
    });
  };
}

/**
 * Lets only requests change something that no page of another site can have made. Such a page cannot send JSON without asking first, which nothing here
 * allows; and browsers name the page's own site as Origin. Programs send none.
 * @throws Problem CONTENT_TYPE_REFUSED, ORIGIN_REFUSED
 */
export function checkChange(headers: {
  host?: string | undefined;
  origin?: string | undefined;
  'content-type'?: string | undefined;
}): void {
  if (headers.origin !== undefined && hostOf(headers.origin) !== headers.host?.toLowerCase())
    throw new Problem(403, 'ORIGIN_REFUSED', 'Another site', 'Only the pages of this server, and programs, may change something here.');
  if (!/^application\/json *(;|$)/i.test(headers['content-type'] ?? ''))
    throw new Problem(415, 'CONTENT_TYPE_REFUSED', 'Not JSON', 'Send the fields as a JSON object, with content-type: application/json.');
}

/** Host and port of an origin, as a Host header has them; null: it is opaque. */
const hostOf = (origin: string): string | null => (URL.canParse(origin) ? new URL(origin).host || null : null);
