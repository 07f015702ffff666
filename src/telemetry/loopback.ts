import { isIP } from 'node:net';

/** True for the names and addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (name === 'localhost' || name === '::1') return true;
  return isIP(name) === 4 && name.startsWith('127.');
}

/** Whether a Host header names this machine: a page of another site that has its DNS name point at 127.0.0.1 sends its own. */
export function namesThisMachine(header = ''): boolean {
  return isLoopback(header.startsWith('[') ? header.slice(0, header.indexOf(']') + 1) : (header.split(':')[0] ?? ''));
}
