import { CallstreamError } from '../domain/errors.js';

/**
 * The app id as Tencent's APIs want it: a number.
 * @throws CallstreamError POLL_APP_ID
 */
export function numericAppId(appId: string): number {
  const number = /^[0-9]+$/.test(appId) ? Number(appId) : Number.NaN;
  if (Number.isSafeInteger(number)) return number;
  throw new CallstreamError('POLL_APP_ID', `The app id ${JSON.stringify(appId)} is not a number, as Tencent's APIs want it.`);
}
