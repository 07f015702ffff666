import { CallstreamError } from '../domain/errors.js';

/** Rejects with the code when the work has not settled in time. The work goes on; a late rejection is swallowed. */
export async function within<T>(ms: number, work: Promise<T>, code: string, message: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new CallstreamError(code, message)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
