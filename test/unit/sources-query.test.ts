import { describe, expect, it } from 'vitest';
import { queryParameter } from '../../src/sources/query.js';

describe('a query parameter', () => {
  it.each([
    ['sdkappid=1&command=x', '1'],
    ['command=x&SdkAppId=2', '2'],
    ['sdkappid=1&sdkappid=2', '1'],
    ['sdkappid', ''],
    ['sdkappid=', ''],
    ['sdkappid&x=1', ''],
    ['sdkappid==1', '=1'],
    ['sdkappid=a=b&x', 'a=b'],
    ['&&sdkappid=3&', '3'],
    ['sdkappid=a%20b+c', 'a b c'],
    ['sdkappid=%zz', '%zz'],
    ['xsdkappid=1', null],
    ['sdkappidx=1', null],
    ['x=sdkappid=1', null],
    ['', null],
    ['&', null],
  ])('of %j is %j', (query, value) => {
    expect(queryParameter(query, 'sdkappid')).toBe(value);
  });
});
