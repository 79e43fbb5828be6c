/** What a speaker shows. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nothingShown, updateVisuals, type Visual, type VisualEvent, type Visuals } from '../src/state/visuals.ts';
import { createSession, update } from '../src/state/session.ts';
import type { Tile } from '../src/wire.ts';
import { message, welcome } from './fixtures.ts';

const VISUALS: Visual[] = ['off', 'asking', 'on', 'refused'];
const EVENTS: VisualEvent['type'][] = ['visual_pressed', 'visual_opened', 'visual_failed', 'visual_ended'];

test('every state answers every event, and leaves the other picture alone', () => {
  for (const state of VISUALS) {
    for (const type of EVENTS) {
      const before: Visuals = { camera: state, screen: 'on' };
      const [after, effects] = updateVisuals(before, { type, what: 'camera' });
      assert.equal(after.screen, 'on');
      assert.ok(effects.every((effect) => effect.what === 'camera'));
    }
  }
});

test('the server is told when a picture flows, not when it is asked for', () => {
  const [asking, open, told] = updateVisuals(nothingShown, { type: 'visual_pressed', what: 'camera' });
  assert.deepEqual([asking.camera, open, told], ['asking', [{ do: 'open_visual', what: 'camera' }], null]);
  const [on, none, said] = updateVisuals(asking, { type: 'visual_opened', what: 'camera' });
  assert.deepEqual([on.camera, none, said], ['on', [], { what: 'camera', on: true }]);
});

test('a share that the browser ends is ended here and at the server', () => {
  const [after, effects, told] = updateVisuals({ camera: 'off', screen: 'on' }, { type: 'visual_ended', what: 'screen' });
  assert.equal(after.screen, 'off');
  assert.deepEqual(effects, [{ do: 'close_visual', what: 'screen' }]);
  assert.deepEqual(told, { what: 'screen', on: false });
});

test('tiles are told once per change, and again after a new link', () => {
  const tiles: Tile[] = [{ what: 'camera', width: 640, height: 360, visible: true }];
  let [s] = update(createSession('t'), { type: 'join_asked', channel: null });
  [s] = update(s, { type: 'tiles_measured', tiles });
  [s] = update(s, { type: 'socket_opened' });
  const hello = s.next_id - 1;
  const [inside, effects] = update(s, message(welcome(hello)));
  assert.ok(effects.some((e) => e.do === 'send' && e.message.type === 'view'));
  assert.deepEqual(update(inside, { type: 'tiles_measured', tiles })[1], []);
  const larger = [{ ...tiles[0], height: 720 } as Tile];
  assert.equal(update(inside, { type: 'tiles_measured', tiles: larger })[1].length, 1);
});
