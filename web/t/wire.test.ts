import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decode, decodeDemo, decodeMeeting, decodeRefusal, type ServerMessage } from '../src/wire.ts';

const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
const examples = (page.split('### From the server')[1] ?? '')
  .split('\n')
  .filter((line) => line.startsWith('{"type"'));

test('every example of the server in docs/protocol.md is understood', () => {
  assert.ok(examples.length >= 9);
  for (const example of examples) {
    const message = decode(example);
    assert.ok(message, example);
    assert.equal(message.type, JSON.parse(example).type);
  }
});

test('the examples cover every message that the page understands', () => {
  const types: ServerMessage['type'][] = [
    'welcome',
    'answer',
    'listening',
    'done',
    'error',
    'meeting',
    'levels',
    'speaking',
    'media',
    'goodbye',
  ];
  const shown = new Set(examples.map((e) => JSON.parse(e).type));
  assert.deepEqual([...shown].toSorted(), [...types].toSorted());
});

test('an example cut short anywhere is refused and throws nothing', () => {
  for (const example of examples) {
    for (let end = 0; end < example.length; end += 1) assert.equal(decode(example.slice(0, end)), null);
  }
});

test('an example with any one field of a wrong type is refused or has no such type', () => {
  for (const example of examples) {
    for (const wrong of [[], { nested: {} }, true]) {
      for (const key of Object.keys(JSON.parse(example))) {
        if (key === 'meeting' || key === 'channels') continue; // objects themselves
        if (key === 'resumed' && wrong === true) continue;
        const broken = decode(JSON.stringify({ ...JSON.parse(example), [key]: wrong }));
        if ((key === 'languages' || key === 'participants') && Array.isArray(wrong)) assert.ok(broken);
        else assert.equal(broken, null, `${key} in ${example}`);
      }
    }
  }
});

test('what is not a message of the protocol is null', () => {
  const junk = ['', 'null', '[]', '3', '{}', '{"type":"__proto__"}', '{"type":"toString"}', '{"type":"levels"}'];
  for (const raw of junk) assert.equal(decode(raw), null, raw);
});

test('a field that a newer server adds is ignored', () => {
  assert.deepEqual(decode('{"type":"done","re":1,"color":"red"}'), { type: 'done', re: 1 });
});

test('a meeting in the answer of the API is read like one on the socket', () => {
  const welcome = examples.find((e) => e.includes('"welcome"')) ?? '';
  const { meeting } = JSON.parse(welcome);
  assert.deepEqual(decodeMeeting(JSON.stringify(meeting)), meeting);
  assert.equal(decodeMeeting('{"id":"demo"}'), null);
});

test('the links of the demo are read, and nothing else is taken for them', () => {
  const link = { page: 'attend', label: 'Attendee', url: '/attend/demo#x' };
  assert.deepEqual(decodeDemo(JSON.stringify({ meeting: 'demo', links: [link] })), [link]);
  assert.equal(decodeDemo('{"links":[{"page":"attend"}]}'), null);
});

test('the code of an HTTP error is read, and a proxy’s own page is none', () => {
  assert.equal(decodeRefusal('{"code": "token.expired", "message": "…"}'), 'token.expired');
  for (const other of ['<h1>401</h1>', '', '{}', '{"code": 401}', 'null']) assert.equal(decodeRefusal(other), null);
});
