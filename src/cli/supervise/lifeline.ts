/** Set for processes whose standard input is a pipe that only their supervisor holds. */
export const SUPERVISED = 'CALLSTREAM_SUPERVISED';

/**
 * Ends this process when its supervisor is gone: the system closes the pipe even after kill -9, and nothing else notices.
 * At once, without a clean stop: that is what the roles are built to survive, and the servers that a clean stop needs go down with the supervisor.
 */
export function endWithSupervisor(env: NodeJS.ProcessEnv = process.env): void {
  if (env[SUPERVISED] !== '1') return;
  const end = () => process.exit(1);
  process.stdin.once('end', end).once('close', end).once('error', end);
  process.stdin.resume();
}
