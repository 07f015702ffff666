import ipaddr from 'ipaddr.js';
import { LRUCache } from 'lru-cache';
import type { Cidr } from '../config/index.js';

export type Address = ipaddr.IPv4 | ipaddr.IPv6;
export type AddressRange = Pick<Cidr, 'address' | 'bits'>;

/** Vendors call from few addresses: parsing each of them once is enough. */
const parsed = new LRUCache<string, { address: Address | null }>({ max: 4096 });

/** An address, IPv4-mapped IPv6 as IPv4; null when the text is none. Takes the port that some proxies append. */
export function parseAddress(text: string): Address | null {
  const known = parsed.get(text);
  if (known !== undefined) return known.address;
  const bare = /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(text)?.[1] ?? text;
  // ipaddr.js also reads `10.1` and `0x7f000001`, which no proxy writes.
  const valid = bare.includes(':') ? ipaddr.IPv6.isValid(bare) : ipaddr.IPv4.isValidFourPartDecimal(bare);
  const address = valid ? ipaddr.process(bare) : null;
  parsed.set(text, { address });
  return address;
}

export const inRanges = (address: Address, ranges: readonly AddressRange[]): boolean =>
  ranges.some((range) => range.address.kind() === address.kind() && address.match([range.address, range.bits] as [ipaddr.IPv4, number]));

/**
 * Who sent a request: the socket's peer, or, while that is a trusted proxy, the entry it added to X-Forwarded-For, and
 * so on from right to left. Entries further left are the sender's own claims. null: a trusted proxy named nobody we can read.
 */
export function clientAddress(peer: string, forwardedFor: string | undefined, trusted: readonly AddressRange[]): Address | null {
  let address = parseAddress(peer);
  if (forwardedFor === undefined || trusted.length === 0) return address;
  const entries = forwardedFor.split(',');
  while (address !== null && inRanges(address, trusted)) {
    const entry = entries.pop();
    if (entry === undefined) break;
    address = parseAddress(entry.trim());
  }
  return address;
}

/** The network of an address as text: its /24, or /48 for IPv6. */
export function truncateAddress(address: Address): string {
  const bytes = address.toByteArray();
  const kept = bytes.length === 4 ? 3 : 6;
  return ipaddr.fromByteArray(bytes.map((byte, i) => (i < kept ? byte : 0))).toString();
}
