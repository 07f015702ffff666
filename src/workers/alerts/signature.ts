import { hmacSha256 } from '../../sources/sign/digest.js';

const PREFIX = 'whsec_';

/**
 * The three headers of Standard Webhooks 1.0.0 for one request: the signature is of `id.timestamp.body`, HMAC-SHA256 in base64 behind its version.
 * @param secret `whsec_` and the key in base64; null: unsigned, for receivers that know no signatures
 * @param at of this attempt, epoch ms: receivers refuse what is too old
 */
export function webhookHeaders(secret: string | null, id: string, at: number, body: string): Record<string, string> {
  const timestamp = String(Math.floor(at / 1000));
  const headers = { 'webhook-id': id, 'webhook-timestamp': timestamp };
  if (secret === null) return headers;
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
  return { ...headers, 'webhook-signature': `v1,${hmacSha256(key, `${id}.${timestamp}.${body}`).toString('base64')}` };
}
