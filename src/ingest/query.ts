import { parseAddress, truncateAddress } from './address.js';

/** Parameters that authenticate somebody, or could. */
const SECRET = /^(?:sign|signature|token|access_token|usersig|secret|password|key|auth|authorization)$/i;
const CLIENT_ADDRESS = /^clientip$/i;

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

/**
 * The query as it may be stored: without parameters that are secret by name, or that repeat the secret of the path.
 * The rest stays byte for byte, but for the address of the vendor's client when that is to be truncated.
 */
export function storedQuery(query: string, options: { secret: string; truncateClientIp: boolean }): string {
  if (query === '') return '';
  const kept: string[] = [];
  for (const pair of query.split('&')) {
    const text = pair.includes('%') ? decode(pair) : pair;
    const equals = text.indexOf('=');
    const name = equals < 0 ? text : text.slice(0, equals);
    const value = equals < 0 ? '' : text.slice(equals + 1);
    if (SECRET.test(name) || (options.secret !== '' && value === options.secret)) continue;
    const address = options.truncateClientIp && CLIENT_ADDRESS.test(name) ? parseAddress(value) : null;
    kept.push(address === null ? pair : `${name}=${truncateAddress(address)}`);
  }
  return kept.join('&');
}
