import { expect, it } from 'vitest';
import { joinMetrics } from '../../src/cli/supervise/join-metrics.js';

const A = `# HELP requests Answered.
# TYPE requests counter
requests{code="200"} 3
requests 1

# HELP seconds How long.
# TYPE seconds histogram
seconds_bucket{le="+Inf",x="a b}"} 2
seconds_sum 0.5
`;
const B = `# HELP requests Answered.
# TYPE requests counter
requests{code="200"} 4 1700000000000
`;

it('adds the label to every sample and keeps the lines of a metric together', () => {
  expect(
    joinMetrics(
      new Map([
        ['ingest', A],
        ['si"nk', B],
      ]),
      'role',
    ),
  ).toBe(`# HELP requests Answered.
# TYPE requests counter
requests{role="ingest",code="200"} 3
requests{role="ingest"} 1
requests{role="si\\"nk",code="200"} 4 1700000000000
# HELP seconds How long.
# TYPE seconds histogram
seconds_bucket{role="ingest",le="+Inf",x="a b}"} 2
seconds_sum{role="ingest"} 0.5
`);
});
