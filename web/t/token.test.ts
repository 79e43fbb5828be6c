import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meetingOfPath, readLink } from '../src/state/token.ts';

const token = (claims: object): string => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;
const good = { meeting: 'demo', role: 'interpreter', languages: ['fr'], name: 'Zoë Ђ' };
const problem = (hash: string, roles: string[] = []): string => {
  const link = readLink(hash, 'demo', roles);
  return link.ok ? 'none' : link.problem;
};

test('a link of this meeting and role leads in, with its names in any script', () => {
  const link = readLink(`#${token(good)}`, 'demo', ['interpreter']);
  assert.ok(link.ok);
  assert.deepEqual(link.claims, good);
  assert.equal(link.token, token(good));
});

test('each thing that can be wrong with a link has its own name', () => {
  assert.equal(problem(''), 'missing');
  assert.equal(problem('#'), 'missing');
  assert.equal(problem('#languages'), 'unreadable');
  assert.equal(problem('#a.%%%.c'), 'unreadable');
  assert.equal(problem(`#${token({ role: 'attendee' })}`), 'unreadable');
  assert.equal(problem(`#${token({ ...good, meeting: 'other' })}`), 'other_meeting');
  assert.equal(problem(`#${token(good)}`, ['speaker', 'operator']), 'other_role');
});

test('the time of a link is the server’s to judge: a phone’s clock may be hours off', () => {
  assert.equal(problem(`#${token({ ...good, exp: 1 })}`), 'none');
});

test('the meeting is the second part of the path', () => {
  assert.equal(meetingOfPath('/attend/demo'), 'demo');
  assert.equal(meetingOfPath('/attend/r%C3%A9union/'), 'réunion');
  assert.equal(meetingOfPath('/attend/100%'), '100%');
  assert.equal(meetingOfPath('/'), '');
});
