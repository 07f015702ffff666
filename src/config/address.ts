import ipaddr from 'ipaddr.js';

/** IPv6 addresses of the public internet; everything else is local, reserved, or a way to an IPv4 address. */
const GLOBAL_V6 = ipaddr.IPv6.parseCIDR('2000::/3');
/** What of it is not: protocol assignments with Teredo, 6to4, and documentation (IANA IPv6 Special-Purpose Address Registry). */
const SPECIAL_V6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'].map((range) => ipaddr.IPv6.parseCIDR(range));

/**
 * Whether an address belongs to the public internet: no private, loopback, link-local, shared, multicast, reserved or documentation address, and no IPv6
 * address that stands for an IPv4 one (mapped, translated by NAT64, tunnelled). Anything but a plain address is none.
 */
export function isPublicAddress(address: string): boolean {
  if (ipaddr.IPv4.isValidFourPartDecimal(address)) return ipaddr.IPv4.parse(address).range() === 'unicast';
  if (!ipaddr.IPv6.isValid(address) || address.includes('%')) return false;
  const v6 = ipaddr.IPv6.parse(address);
  return v6.match(GLOBAL_V6) && !SPECIAL_V6.some((range) => v6.match(range)) && v6.range() === 'unicast';
}

/** The address that the host part of a URL is; null: it is a name. */
export function literalAddress(hostname: string): string | null {
  const bare = hostname.replace(/^\[|\]$/g, '');
  return ipaddr.IPv4.isValidFourPartDecimal(bare) || ipaddr.IPv6.isValid(bare) ? bare : null;
}
