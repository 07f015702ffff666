import { defineConfig } from 'vitest/config';
import { whyNoContainers } from './test/support/docker.js';

/** Everything that starts servers runs after the rest (`groupOrder`), one file at a time: a small machine has no room for two stacks. */
const withServers = { fileParallelism: false, testTimeout: 120_000, hookTimeout: 180_000 };

const why = await whyNoContainers();
if (why !== undefined) console.log(`The integration suite is skipped on containers (it runs on the embedded servers): ${why}.`);
const containers = {
  test: {
    ...withServers,
    name: 'containers',
    sequence: { groupOrder: 2 },
    include: ['test/integration/**/*.test.ts'],
    exclude: ['test/integration/local*.test.ts'],
    // Ryuk, which removes what a killed run leaves behind, is one more image that would have to be there.
    env: { CALLSTREAM_TEST_SERVERS: 'containers', TESTCONTAINERS_RYUK_DISABLED: 'true' },
  },
};

/** Unit and property tests share workers. */
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts', 'test/property/**/*.test.ts'], testTimeout: 30_000 } },
      {
        test: {
          ...withServers,
          name: 'integration',
          sequence: { groupOrder: 1 },
          include: ['test/integration/**/*.test.ts', 'test/fault/**/*.test.ts', 'test/e2e/**/*.test.ts'],
        },
      },
      ...(why === undefined ? [containers] : []),
    ],
  },
});
