/**
 * UserSig, the credential of Tencent's Chat, Call and RTC APIs (TLSSigAPIv2; vendors.md §3): a JSON document, deflated, in base64 with other letters.
 *
 *   { "TLS.ver", "TLS.identifier", "TLS.sdkappid", "TLS.time", "TLS.expire", "TLS.sig" }, times in seconds, TLS.expire a duration
 *
 * Two builds of zlib may deflate one document into different bytes: compare what is inside, never the text.
 */
import { deflateSync, inflateSync } from 'node:zlib';
import { equalSecrets, hmacSha256 } from './digest.js';

export interface UserSigClaims {
  /** The user it speaks for: up to 32 of A-Z a-z 0-9 _ -. */
  identifier: string;
  sdkAppId: number;
  /** Epoch seconds. */
  issuedAt: number;
  /** How long it is good, in seconds. */
  ttl: number;
}

export type UserSigVerdict = { ok: true; claims: UserSigClaims } | { ok: false; reason: 'malformed' | 'bad_signature' | 'expired' };

const VERSION = '2.0';
/** A document is some 250 bytes; what inflates to more is an attack. */
const MAX_DOCUMENT_BYTES = 16 * 1024;

/** Issues a UserSig. The key is used as text, even though it looks like hexadecimal. */
export function userSig(claims: UserSigClaims, key: string): string {
  const document = {
    'TLS.ver': VERSION,
    'TLS.identifier': claims.identifier,
    'TLS.sdkappid': claims.sdkAppId,
    'TLS.time': claims.issuedAt,
    'TLS.expire': claims.ttl,
    'TLS.sig': signature(claims, key),
  };
  return deflateSync(JSON.stringify(document)).toString('base64').replaceAll('+', '*').replaceAll('/', '-').replaceAll('=', '_');
}

/** Checks a UserSig as the vendor would. `nowSeconds`: the judge's clock. Total: anybody may send anything. */
export function verifyUserSig(text: string, key: string, nowSeconds: number): UserSigVerdict {
  const document = documentOf(text);
  const claims = document === null ? null : claimsOf(document);
  if (document === null || claims === null) return { ok: false, reason: 'malformed' };
  if (!equalSecrets(String(document['TLS.sig']), signature(claims, key))) return { ok: false, reason: 'bad_signature' };
  return claims.issuedAt + claims.ttl > nowSeconds ? { ok: true, claims } : { ok: false, reason: 'expired' };
}

const signature = (claims: UserSigClaims, key: string): string =>
  hmacSha256(
    key,
    `TLS.identifier:${claims.identifier}\nTLS.sdkappid:${claims.sdkAppId}\nTLS.time:${claims.issuedAt}\nTLS.expire:${claims.ttl}\n`,
  ).toString('base64');

function documentOf(text: string): Record<string, unknown> | null {
  if (!/^[A-Za-z0-9*_-]+$/.test(text)) return null;
  const compressed = Buffer.from(text.replaceAll('*', '+').replaceAll('-', '/').replaceAll('_', '='), 'base64');
  try {
    const value: unknown = JSON.parse(inflateSync(compressed, { maxOutputLength: MAX_DOCUMENT_BYTES }).toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

function claimsOf(document: Record<string, unknown>): UserSigClaims | null {
  const { 'TLS.ver': version, 'TLS.identifier': identifier, 'TLS.sdkappid': sdkAppId, 'TLS.time': issuedAt, 'TLS.expire': ttl } = document;
  if (version !== VERSION || typeof identifier !== 'string' || typeof document['TLS.sig'] !== 'string') return null;
  return isCount(sdkAppId) && isCount(issuedAt) && isCount(ttl) ? { identifier, sdkAppId, issuedAt, ttl } : null;
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
