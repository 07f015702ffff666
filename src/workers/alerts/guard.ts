import { lookup as lookUp } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { isLoopback, isPublicAddress, literalAddress } from '../../config/index.js';
import { CallstreamError } from '../../domain/errors.js';

export interface ResolvedAddress {
  address: string;
  family: number;
}
export type Resolve = (hostname: string) => Promise<ResolvedAddress[]>;

const systemResolve: Resolve = (hostname) => lookUp(hostname, { all: true, verbatim: true });

/**
 * Looks a name up once for each connection, and gives out only addresses that webhooks may go to: then the address that was checked is the one that is
 * connected to. A name with any other address is refused as a whole.
 * @param loopback what the configuration names is this machine: then nothing else may come of it
 */
export function guardedLookup(loopback: boolean, resolve: Resolve = systemResolve): LookupFunction {
  return (hostname, options, callback) => {
    const answer = async (): Promise<ResolvedAddress[]> => {
      const addresses = await resolve(hostname);
      if (addresses.length === 0) throw refused('its name has no address');
      for (const { address } of addresses) checkAddress(address, loopback);
      return addresses;
    };
    answer().then(
      (addresses) => {
        const [first] = addresses as [ResolvedAddress, ...ResolvedAddress[]];
        if (options.all === true) callback(null, addresses);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, ''),
    );
  };
}

/** An address in a URL is never looked up, so it is checked by itself. @throws CallstreamError WEBHOOK_ADDRESS_REFUSED */
export function checkHost(url: URL): void {
  const literal = literalAddress(url.hostname);
  if (literal !== null) checkAddress(literal, isLoopback(url.hostname));
}

function checkAddress(address: string, loopback: boolean): void {
  if (loopback ? isIP(address) !== 0 && isLoopback(address) : isPublicAddress(address)) return;
  throw refused(loopback ? 'its name leads away from this machine' : 'its name leads to a private or reserved address');
}

const refused = (why: string): CallstreamError => new CallstreamError('WEBHOOK_ADDRESS_REFUSED', `not called: ${why}`);
