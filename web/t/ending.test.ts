import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isFinal, problemOf, remedyOf } from '../src/state/ending.ts';

const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
const codes = [...(page.split('\n## Errors')[1] ?? '').matchAll(/^\| `([a-z_.]+)` \| \d+/gm)].map((m) => m[1] ?? '');

test('every refusal of a token says whom to ask and is never asked again', () => {
  const tokens = codes.filter((code) => code.startsWith('token.'));
  assert.ok(tokens.length >= 4);
  for (const code of tokens) {
    assert.ok(isFinal(code), code);
    assert.notEqual(remedyOf(problemOf(code)), 'again', code);
    assert.notEqual(problemOf(code), 'other', code);
  }
  assert.equal(remedyOf(problemOf('token.expired')), 'ask');
  assert.equal(problemOf('token.some_day'), 'forbidden');
});

test('expired and withdrawn are told apart', () => {
  assert.deepEqual(['token.expired', 'token.invalid'].map(problemOf), ['expired', 'revoked']);
});

test('a server that is full or restarts is never final', () => {
  for (const code of codes.filter((c) => c.startsWith('server.') || c === 'message.rate')) {
    assert.ok(!isFinal(code), code);
    assert.equal(remedyOf(problemOf(code)), 'again', code);
  }
});
