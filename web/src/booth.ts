/** The interpreter's page. */

import './style/base.css';
import './style/console.css';
import './style/stage.css';
import { createInterpreter, type Interpreter, type InterpreterEvent, keep, update } from './state/interpreter.ts';
import type { TalkerEffect } from './state/talker.ts';
import { Shell } from './shell.ts';
import { onKey, onMicrophoneKey, Talk } from './talk.ts';
import type { BoothPage } from './views/booth.ts';
import './views/booth.ts';
import { paintLane, pushWave } from './views/meters.ts';

const page = document.querySelector<BoothPage>('kb-booth') as BoothPage;
const shell = new Shell<Interpreter, InterpreterEvent, TalkerEffect>(page, {
  create: createInterpreter,
  update,
  session: (state) => state.talker.session,
  keep,
  roles: ['interpreter'],
  sends: 'voice',
  run: (effect) => talk.run(effect),
  levels: (levels) => {
    paintLane(page, 'floor', levels?.floor_db ?? null, 24);
    pushWave(page, 'floor', levels?.floor_db ?? null);
  },
  changed: () => undefined,
});
const talk = new Talk(page, false, (event) => shell.dispatch(event), (track) => shell.media.send('voice', track));
onMicrophoneKey(() => shell.state.talker.session, () => shell.dispatch({ type: 'hold_pressed' }));
onKey('v', () => shell.dispatch({ type: 'view_cycled' }));
shell.restore();
