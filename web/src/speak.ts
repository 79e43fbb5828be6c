/** The speaker's page. */

import './style/base.css';
import './style/console.css';
import { createSpeaker, type Speaker, type SpeakerEvent, update } from './state/speaker.ts';
import type { TalkerEffect } from './state/talker.ts';
import { Shell } from './shell.ts';
import { onMicrophoneKey, Talk } from './talk.ts';
import type { SpeakPage } from './views/speak.ts';
import './views/speak.ts';

const page = document.querySelector<SpeakPage>('kb-speak') as SpeakPage;
const shell = new Shell<Speaker, SpeakerEvent, TalkerEffect>(page, {
  create: createSpeaker,
  update,
  session: (state) => state.talker.session,
  roles: ['speaker', 'operator'],
  sends: true,
  run: (effect) => talk.run(effect),
  levels: () => undefined,
  changed: () => undefined,
});
// Echo is cancelled, for few speakers wear a headset; noise and gain stay untouched for the interpreters' ears.
const talk = new Talk(page, true, (event) => shell.dispatch(event), (track) => shell.media.send(track));
onMicrophoneKey(() => {
  if (shell.state.talker.session.phase !== 'outside') shell.dispatch({ type: 'hold_pressed' });
});
