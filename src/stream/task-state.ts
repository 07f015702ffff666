/**
 * Life of a task:
 *
 *                      ┌───────────── failure ─────────────┐
 *                      v                                   │
 *   waiting ──> taking-over ──> running <──> blocked ──────┤
 *      ^             │              │            │         │
 *      └── failure ──┤              │            │         │
 *                    ├── gap, lost metadata, limit ──> stopped
 *                    └──────────────┴─ not assigned any more, worker stops ──> closed
 *
 * waiting: for the group to confirm this member, and the backoff. blocked: running, but an environment error holds the input back.
 * stopped: needs a person; looked at again every half minute, except where only a new program helps.
 */
export type TaskState = 'waiting' | 'taking-over' | 'running' | 'blocked' | 'stopped' | 'closed';

export const TASK_TRANSITIONS: Readonly<Record<TaskState, readonly TaskState[]>> = {
  waiting: ['taking-over', 'closed'],
  'taking-over': ['running', 'waiting', 'stopped', 'closed'],
  running: ['blocked', 'waiting', 'stopped', 'closed'],
  blocked: ['running', 'waiting', 'stopped', 'closed'],
  stopped: ['waiting', 'closed'],
  closed: [],
};
