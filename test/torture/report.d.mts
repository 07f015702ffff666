import type { Figures } from '../support/torture.js';

export interface TortureRun {
  command: string;
  seed: number;
  commit: string;
  date: string;
  machine: string;
  minutes: number;
}
export interface TestFile {
  name: string;
  passed: number;
  failed: number;
  seconds: number;
}
export function sums(figures: readonly Figures[]): { faults: number; events: number; lost: number; doubled: number; differing: number };
export function markdown(run: TortureRun, files: readonly TestFile[], figures: readonly Figures[]): string;
export function inserted(page: string, report: string): string;
