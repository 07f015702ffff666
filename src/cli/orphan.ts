import { SUPERVISED } from './supervise/lifeline.js';

const LOOK_MS = 500;

/**
 * Calls `stop` when this process was started by one of this package's npm scripts and that npm is gone: after kill -9 of `npm start` nobody would be
 * left who could stop it. What a shell or a service manager has started may outlive its parent.
 */
export function stopWithNpm(env: NodeJS.ProcessEnv, stop: () => void): void {
  if (env.npm_package_name !== 'callstream' || env.npm_lifecycle_event === undefined || env[SUPERVISED] === '1') return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    stop();
  }, LOOK_MS);
  timer.unref();
}
