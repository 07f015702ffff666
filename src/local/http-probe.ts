import { get } from 'node:http';

const ANSWER_TIMEOUT_MS = 2_000;

/** Whether a GET is answered with 200. Leaves no idle connection behind: a server that is told to stop would wait for it. */
export function answers(url: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent: false, timeout: ANSWER_TIMEOUT_MS }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode === 200));
      response.once('error', reject);
    });
    request.once('timeout', () => request.destroy(new Error('no answer')));
    request.once('error', reject);
  });
}
