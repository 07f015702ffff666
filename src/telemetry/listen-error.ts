import { CallstreamError } from '../domain/errors.js';

/** What to throw when a server could not listen: PORT_TAKEN with what to do about it, or the error as it is. */
export function listenError(error: unknown, what: string, at: { host: string; port: number }, variable: string): unknown {
  if (!(error instanceof Error) || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return error;
  return new CallstreamError(
    'PORT_TAKEN',
    `${what} cannot use port ${at.port} of ${at.host}: something else holds it. Stop that, or set ${variable} to another port.`,
    { cause: error },
  );
}
