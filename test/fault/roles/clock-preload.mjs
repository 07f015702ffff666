// Shifts the wall clock of a process by as many milliseconds as the file says that CALLSTREAM_TEST_CLOCK names: `node --import clock-preload.mjs …`.
// Only what people set: performance.now() and the uptime of the machine go on.
import { readFileSync } from 'node:fs';

const file = process.env.CALLSTREAM_TEST_CLOCK;
const Machine = globalThis.Date;
let shift = 0;
const look = () => {
  try {
    shift = Number(readFileSync(file, 'utf8'));
  } catch {
    shift = 0;
  }
};
if (file !== undefined) {
  look();
  setInterval(look, 50).unref();
  globalThis.Date = class extends Machine {
    constructor(...args) {
      if (args.length === 0) super(Machine.now() + shift);
      else super(...args);
    }

    static now() {
      return Machine.now() + shift;
    }
  };
}
