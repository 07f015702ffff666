import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Refresher } from '../../src/web/parts/refresher.js';

const MINUTE = 60_000;

describe('figures that follow time and changes', () => {
  const read = vi.fn(async () => {});
  beforeEach(() => {
    vi.useFakeTimers();
    read.mockClear();
  });
  afterEach(() => vi.useRealTimers());

  it('are read again because time goes on', async () => {
    const refresher = new Refresher(read);
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(read.mock.calls.length).toBeGreaterThan(3);
    refresher.stop();
  });

  it('stand still in a pause, but for what the reader asks for; and go on afterwards', async () => {
    const refresher = new Refresher(read);
    refresher.soon();
    refresher.pause();
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(read).not.toHaveBeenCalled();
    await refresher.now();
    refresher.soon();
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(read).toHaveBeenCalledTimes(1);
    refresher.resume();
    await vi.advanceTimersByTimeAsync(MINUTE);
    expect(read.mock.calls.length).toBeGreaterThan(3);
    refresher.stop();
  });
});
