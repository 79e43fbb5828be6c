import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Patience } from '../src/rtc/patience.ts';

test('a stream without losses waits for nothing', () => {
  const patience = new Patience();
  for (let s = 0; s < 100; s += 1) assert.equal(patience.next({ nacks: 0, roundTripMs: 100 }), null);
});

test('one request is chance, more of them are a lossy network: two round trips and a tenth of a second', () => {
  const patience = new Patience();
  assert.equal(patience.next({ nacks: 1, roundTripMs: 100 }), null);
  assert.equal(patience.next({ nacks: 4, roundTripMs: 100 }), 300);
  assert.equal(patience.next({ nacks: 4, roundTripMs: 100 }), 300);
});

test('what it waits only grows while packets are lost, to half a second at most', () => {
  const patience = new Patience();
  assert.equal(patience.next({ nacks: 5, roundTripMs: 80 }), 260);
  assert.equal(patience.next({ nacks: 10, roundTripMs: 20 }), 260);
  assert.equal(patience.next({ nacks: 15, roundTripMs: 2000 }), 500);
});

test('after half a minute without losses the browser decides again', () => {
  const patience = new Patience();
  patience.next({ nacks: 9, roundTripMs: 100 });
  for (let s = 1; s < 30; s += 1) assert.equal(patience.next({ nacks: 9, roundTripMs: 100 }), 300);
  assert.equal(patience.next({ nacks: 9, roundTripMs: 100 }), null);
  assert.equal(patience.next({ nacks: 12, roundTripMs: 10 }), 120);
});
